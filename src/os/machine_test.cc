#include "os/machine.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace onebox::os {
namespace {

namespace fs = std::filesystem;

class GroupMemoryTest : public ::testing::Test {
 protected:
  GroupMemoryTest() {
    fs::remove_all(root_);
    fs::create_directories(root_ / "service.slice/shop.service");
    Write("groups", "0::/service.slice/shop.service\n");
  }
  ~GroupMemoryTest() override { fs::remove_all(root_); }

  void Write(const fs::path& name, const std::string& text) const {
    std::ofstream(root_ / name) << text;
  }
  std::optional<GroupMemory> Read() const { return ReadGroupMemory(root_ / "groups", root_); }

  const fs::path root_ =
      fs::path(::testing::TempDir()) /
      (std::string("onebox_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(GroupMemoryTest, IsNoneWhereNoGroupHasALimit) {
  EXPECT_FALSE(Read());
  Write("service.slice/shop.service/memory.max", "max\n");
  EXPECT_FALSE(Read());
  EXPECT_FALSE(ReadGroupMemory(root_ / "nothing", root_));
}

TEST_F(GroupMemoryTest, CountsAsLeftWhatTheKernelWouldGiveBack) {
  Write("service.slice/shop.service/memory.max", "1000\n");
  Write("service.slice/shop.service/memory.current", "990\n");
  Write("service.slice/shop.service/memory.stat",
        "anon 300\ninactive_file 500\nactive_file 90\nslab_reclaimable 100\n");
  ASSERT_TRUE(Read());
  EXPECT_EQ(Read()->limit, 1000U);
  EXPECT_EQ(Read()->left, 610U);
}

TEST_F(GroupMemoryTest, IsThatOfTheTightestAbove) {
  Write("service.slice/shop.service/memory.max", "1000\n");
  Write("service.slice/shop.service/memory.current", "100\n");
  Write("service.slice/memory.max", "2000\n");
  Write("service.slice/memory.current", "1900\n");
  ASSERT_TRUE(Read());
  EXPECT_EQ(Read()->limit, 1000U);
  EXPECT_EQ(Read()->left, 100U);
}

TEST_F(GroupMemoryTest, IsThatOfTheRootInAContainerOfItsOwn) {
  Write("groups", "1:name=old:/x\n0::/\n");
  Write("memory.max", "5000\n");
  Write("memory.current", "1000\n");
  ASSERT_TRUE(Read());
  EXPECT_EQ(Read()->left, 4000U);
}

}  // namespace
}  // namespace onebox::os
