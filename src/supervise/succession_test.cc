#include "supervise/succession.h"

#include <gtest/gtest.h>

#include "os/file.h"

namespace onebox::supervise {
namespace {

Succession Example() {
  Succession left;
  left.generation = 7;
  left.listeners = {{"127.0.0.1:0", 5}, {"unix:/run/app.sock", 6}};
  left.state_lock = 3;
  left.control = 4;
  left.askers = {17};
  left.processes = {{.role = Role::kFront,
                     .life = Life::kReady,
                     .pid = 41,
                     .control = 8,
                     .attach_name = "@onebox-1",
                     .attach = {9, 10},
                     .first_lane = 8},
                    {.role = Role::kAppWorker,
                     .life = Life::kEnding,
                     .number = 2,
                     .pid = 43,
                     .goes = true,
                     .app = "shop",
                     .output = 11},
                    {.role = Role::kZygote, .life = Life::kReady, .pid = 42, .hooks = true}};
  return left;
}

TEST(Succession, ArrivesAsItWasLeft) {
  const auto file = Leave(Example());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto found = Inherit(file.value());
  ASSERT_TRUE(found.ok()) << found.error().message;
  const Succession& left = found.value();
  EXPECT_EQ(left.generation, 7U);
  EXPECT_EQ(left.listeners, Example().listeners);
  EXPECT_EQ(left.state_lock, 3);
  EXPECT_EQ(left.control, 4);
  EXPECT_EQ(left.askers, std::vector{17});
  ASSERT_EQ(left.processes.size(), 3U);
  EXPECT_EQ(left.processes[0].role, Role::kFront);
  EXPECT_EQ(left.processes[0].attach, (std::vector{9, 10}));
  EXPECT_EQ(left.processes[0].attach_name, "@onebox-1");
  EXPECT_EQ(left.processes[0].first_lane, 8U);
  EXPECT_EQ(left.processes[0].output, -1);
  EXPECT_EQ(left.processes[1].app, "shop");
  EXPECT_EQ(left.processes[2].app, "");
  EXPECT_EQ(left.processes[1].life, Life::kEnding);
  EXPECT_EQ(left.processes[1].number, 2);
  EXPECT_TRUE(left.processes[1].goes);
  EXPECT_FALSE(left.processes[1].hooks);
  EXPECT_TRUE(left.processes[2].hooks);
}

TEST(Succession, IsRefusedWhereItIsBroken) {
  const auto whole = Leave(Example());
  const std::string text = os::ReadAt(whole.value(), 1 << 16, 0).value();
  const auto inherited = [](std::string_view bytes) {
    const auto file = os::OpenMemory("test");
    EXPECT_TRUE(os::WriteAt(file.value(), bytes, 0).ok());
    return Inherit(file.value()).ok();
  };
  EXPECT_TRUE(inherited(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(inherited(text.substr(0, size))) << size;
  }
  EXPECT_FALSE(inherited("[]"));
  EXPECT_FALSE(inherited(R"({"generation":1,"state_lock":3,"control":4,"processes":[{"pid":1}]})"));
  EXPECT_FALSE(inherited(R"({"generation":1,"state_lock":-3,"control":4})"));
  EXPECT_FALSE(inherited(R"({"generation":1,"state_lock":3,"control":4,"listeners":[5]})"));
}

}  // namespace
}  // namespace onebox::supervise
