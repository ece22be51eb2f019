#include "os/folder.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace onebox::os {
namespace {

namespace fs = std::filesystem;

class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    std::string pattern = (fs::temp_directory_path() / "onebox-folder-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "in/deep");
    Write(root_ / "in/file", "inside");
    Write(root_ / "in/deep/file", "deeper");
    Write(root_ / "secret", "secret");
  }
  ~FolderTest() override { fs::remove_all(root_); }

  static void Write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path) << bytes;
  }

  int ErrorOf(const std::string& name, Links links) {
    const auto folder = Folder::Open(root_ / "in");
    EXPECT_TRUE(folder.ok());
    const auto file = folder.value().OpenFile(name, links);
    return file.ok() ? 0 : file.error().system_error;
  }

  fs::path root_;
};

TEST_F(FolderTest, OpensWhatIsInsideAndNothingElse) {
  fs::create_symlink("deep/file", root_ / "in/near");
  fs::create_symlink("../secret", root_ / "in/far");
  fs::create_symlink("..", root_ / "in/up");
  fs::create_symlink(root_ / "in/file", root_ / "in/absolute");
  const struct {
    const char* name;
    int inside, anywhere;
  } cases[] = {
      {"file", 0, 0},
      {"deep/file", 0, 0},
      {"deep", 0, 0},  // the caller asks its facts
      {"missing", ENOENT, ENOENT},
      {"file/below", ENOTDIR, ENOTDIR},
      {"near", 0, 0},
      {"far", EXDEV, 0},
      {"up/secret", EXDEV, 0},
      {"../secret", EXDEV, 0},
      {"absolute", EXDEV, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(ErrorOf(c.name, Links::kInside), c.inside);
    EXPECT_EQ(ErrorOf(c.name, Links::kAnywhere), c.anywhere);
  }
}

TEST_F(FolderTest, DoesNotWaitForAPipe) {
  ASSERT_EQ(::mkfifo((root_ / "in/pipe").c_str(), 0600), 0);
  const auto folder = Folder::Open(root_ / "in");
  const auto pipe = folder.value().OpenFile("pipe", Links::kInside);
  ASSERT_TRUE(pipe.ok());
  EXPECT_FALSE(FactsOf(pipe.value()).value().regular);
}

TEST_F(FolderTest, FactsTellAChangedFile) {
  const std::string path = root_ / "in/file";
  const auto before = FactsAt(path);
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->regular);
  EXPECT_EQ(before->size, 6U);
  const auto file = Folder::Open(root_ / "in").value().OpenFile("file", Links::kInside);
  EXPECT_EQ(FactsOf(file.value()).value(), *before);

  Write(path, "longer than before");
  EXPECT_NE(*FactsAt(path), *before);
  fs::remove(path);
  EXPECT_FALSE(FactsAt(path));
}

TEST_F(FolderTest, MissingFolderIsAnError) {
  EXPECT_EQ(Folder::Open(root_ / "none").error().system_error, ENOENT);
  EXPECT_EQ(Folder::Open(root_ / "secret").error().system_error, ENOTDIR);
}

}  // namespace
}  // namespace onebox::os
