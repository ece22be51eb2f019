#include "redis/commands.h"

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "redis/testing.h"

namespace onebox::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;
using testing::Eventually;
using testing::kAmple;
using testing::RedisServer;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    CHECK(Eventually([this] { return link_.look().state == State::kUp; }));
  }

  const std::string binary_{"a\r\n\0b", 5};
  os::SystemClock clock_;
  RedisServer server_;
  Link link_{{.address = server_.address(), .timeout = kAmple}, clock_};
};

TEST_F(CommandsTest, GivesAValueWithTheTimeItHasLeft) {
  EXPECT_FALSE(Get(link_, binary_).value().has_value());
  EXPECT_TRUE(Set(link_, binary_, binary_, {}, Only::kAlways).value());
  auto found = Get(link_, binary_).value();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->value, binary_);
  EXPECT_EQ(found->remaining, std::nullopt);
  EXPECT_TRUE(Set(link_, binary_, "", 100s, Only::kAlways).value());
  found = Get(link_, binary_).value();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->value, "");
  EXPECT_GT(*found->remaining, 100s - kAmple);
  EXPECT_LE(*found->remaining, 100s);
  EXPECT_TRUE(Delete(link_, binary_).value());
  EXPECT_FALSE(Delete(link_, binary_).value());
}

TEST_F(CommandsTest, SetsForTheShortestAndTheLongestTime) {
  EXPECT_TRUE(Set(link_, "key", "1", 1ns, Only::kAlways).value());
  EXPECT_TRUE(Eventually([&] { return !Get(link_, "key").value(); }));
  EXPECT_TRUE(Set(link_, "key", "1", Duration::zero(), Only::kAlways).value());
  EXPECT_TRUE(Set(link_, "key", "1", Duration::max(), Only::kAlways).value());
  EXPECT_TRUE(Get(link_, "key").value().has_value());
}

TEST_F(CommandsTest, SetsOnlyWhereItMay) {
  EXPECT_FALSE(Set(link_, "key", "1", {}, Only::kIfPresent).value());
  EXPECT_TRUE(Set(link_, "key", "2", {}, Only::kIfAbsent).value());
  EXPECT_FALSE(Set(link_, "key", "3", {}, Only::kIfAbsent).value());
  EXPECT_EQ(Get(link_, "key").value()->value, "2");
  EXPECT_TRUE(Set(link_, "key", "4", 1s, Only::kIfPresent).value());
  EXPECT_EQ(Get(link_, "key").value()->value, "4");
}

TEST_F(CommandsTest, GivesManyInTheirOrder) {
  server_.Do({"MSET", "a", "1", "b", "2"});
  const std::string_view keys[] = {"b", "nothing", "a", "b"};
  EXPECT_THAT(GetMany(link_, keys).value(), ElementsAre("2", std::nullopt, "1", "2"));
  EXPECT_TRUE(GetMany(link_, {}).value().empty());
}

TEST_F(CommandsTest, CountsExactly) {
  EXPECT_EQ(Increment(link_, "key", 1, {}).value(), std::nullopt);
  EXPECT_FALSE(Get(link_, "key").value().has_value());
  EXPECT_EQ(Increment(link_, "key", 2, Initial{.number = 40}).value(), 42);
  EXPECT_EQ(Increment(link_, "key", -50, Initial{.number = 7}).value(), -8);
  EXPECT_EQ(Get(link_, "key").value()->remaining, std::nullopt);
  // Beyond what a double tells apart.
  EXPECT_EQ(Increment(link_, "large", 0, Initial{.number = INT64_MAX - 1}).value(), INT64_MAX - 1);
  EXPECT_EQ(Increment(link_, "large", 1, {}).value(), INT64_MAX);
  EXPECT_THAT(Increment(link_, "large", 1, {}).error().message, HasSubstr("overflow"));
  EXPECT_EQ(Get(link_, "large").value()->value, std::to_string(INT64_MAX));
  EXPECT_FALSE(Increment(link_, "new", 1, Initial{.number = INT64_MAX}).ok());
  EXPECT_FALSE(Get(link_, "new").value().has_value());
  // The time is of the key that was made.
  EXPECT_EQ(Increment(link_, "short", 1, Initial{.number = 0, .ttl = 100s}).value(), 1);
  EXPECT_EQ(Increment(link_, "short", 1, Initial{.number = 0, .ttl = 900s}).value(), 2);
  EXPECT_LE(*Get(link_, "short").value()->remaining, 100s);
}

TEST_F(CommandsTest, LosesNoIncrement) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j)
        CHECK(Increment(link_, "key", 1, Initial{}).ok());
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(Get(link_, "key").value()->value, "800");
}

TEST_F(CommandsTest, GivesBackAndRenewsALockOnlyAsItsHolder) {
  EXPECT_TRUE(Set(link_, "lock", binary_, 10s, Only::kIfAbsent).value());
  EXPECT_FALSE(ExpireIf(link_, "lock", "another", 900s).value());
  EXPECT_LE(*Get(link_, "lock").value()->remaining, 10s);
  EXPECT_TRUE(ExpireIf(link_, "lock", binary_, 900s).value());
  EXPECT_GT(*Get(link_, "lock").value()->remaining, 10s);
  EXPECT_FALSE(DeleteIf(link_, "lock", "another").value());
  EXPECT_TRUE(DeleteIf(link_, "lock", binary_).value());
  EXPECT_FALSE(DeleteIf(link_, "lock", binary_).value());
  EXPECT_FALSE(ExpireIf(link_, "lock", binary_, 1s).value());
}

TEST_F(CommandsTest, SendsAScriptAgainThatTheServerForgot) {
  EXPECT_EQ(Increment(link_, "key", 1, Initial{}).value(), 1);
  const std::uint64_t once = link_.look().counters.commands;
  EXPECT_EQ(Increment(link_, "key", 1, {}).value(), 2);
  EXPECT_EQ(link_.look().counters.commands, once + 1);
  server_.Do({"SCRIPT", "FLUSH"});
  EXPECT_EQ(Increment(link_, "key", 1, {}).value(), 3);
  EXPECT_EQ(link_.look().counters.commands, once + 3);
}

TEST_F(CommandsTest, NamesItsScriptsAsRedisDoes) {
  for (const Script& script : Scripts())
    EXPECT_EQ(server_.Do({"SCRIPT", "LOAD", script.text}).text, script.sha1) << script.text;
}

TEST_F(CommandsTest, TellsWhatTheServerRefuses) {
  server_.Do({"RPUSH", "list", "1"});
  for (const std::string& message : {Get(link_, "list").error().message,
                                     Increment(link_, "list", 1, {}).error().message,
                                     DeleteIf(link_, "list", "1").error().message}) {
    EXPECT_THAT(message, HasSubstr("WRONGTYPE"));
  }
  Set(link_, "text", "x", {}, Only::kAlways).value();
  EXPECT_THAT(Increment(link_, "text", 1, {}).error().message, HasSubstr("not an integer"));
  server_.Do({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_THAT(Set(link_, "key", "1", {}, Only::kAlways).error().message, HasSubstr("OOM"));
  EXPECT_THAT(Increment(link_, "key", 1, Initial{}).error().message, HasSubstr("OOM"));
  EXPECT_EQ(link_.look().state, State::kUp);
  EXPECT_EQ(link_.look().counters.connects, 1U);
  EXPECT_EQ(link_.look().counters.failures, 0U);
}

}  // namespace
}  // namespace onebox::redis
