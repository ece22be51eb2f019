#include "cache/remote.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/clock.h"
#include "redis/testing.h"

namespace onebox::cache {
namespace {

using ::testing::Optional;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using redis::testing::Eventually;
using redis::testing::RedisServer;

std::string NumberBytes(std::int64_t number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

class RemoteTest : public testing::Test {
 protected:
  RemoteTest() {
    remote_.Use(&link_);
    link_.AwaitFirst();
  }

  Outcome Set(std::string_view key, const NewValue& value, const Condition& condition = {}) {
    return remote_.Set(key, value, {}, condition, nullptr).value();
  }
  std::optional<std::string> Get(std::string_view key) {
    auto found = remote_.Get(key).value();
    return found ? std::optional(found->bytes) : std::nullopt;
  }
  std::optional<std::int64_t> Add(std::string_view key,
                                  std::int64_t by,
                                  const NewValue* initial = nullptr) {
    std::int64_t sum = 0;
    const Outcome outcome = remote_.Add(key, by, initial, {}, sum).value();
    return outcome == Outcome::kDone ? std::optional(sum) : std::nullopt;
  }
  Time In(Duration duration) const { return clock_.Now() + duration; }

  os::SystemClock clock_;
  RedisServer server_;
  redis::Link link_{{.address = server_.address()}, clock_};
  Remote remote_{{.values = "v:", .tags = "t:", .scratch = "n", .tombstone = 60s}, clock_};
};

TEST_F(RemoteTest, ItsScriptHasTheNameThatRedisGivesIt) {
  EXPECT_EQ(server_.Do({"SCRIPT", "LOAD", RemoteScript().text}).text, RemoteScript().sha1);
}

TEST_F(RemoteTest, KeepsAValueWithAllThatIsKnownOfIt) {
  const std::string any("\0\r\n\xff", 4);
  EXPECT_EQ(Set(any, {.bytes = any, .codec = kPickleCodec, .lifetime = {In(60s), In(30s)}}),
            Outcome::kDone);
  const auto found = remote_.Get(any).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes, any);
  EXPECT_EQ(found->codec, kPickleCodec);
  const Lifetime lifetime = LifetimeOf(*found, clock_);
  EXPECT_LE(*lifetime.expires, In(60s));
  EXPECT_GT(*lifetime.expires, In(40s));
  EXPECT_LE(*lifetime.fresh, In(30s));
  EXPECT_GT(*lifetime.fresh, In(10s));
  EXPECT_EQ(Set("for ever", {.bytes = "x"}), Outcome::kDone);
  EXPECT_FALSE(remote_.Get("for ever").value()->remaining);
}

TEST_F(RemoteTest, SetsWhereTheConditionHolds) {
  using Presence = Condition::Presence;
  EXPECT_EQ(Set("key", {.bytes = "1"}, {.presence = Presence::kPresent}), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "1"}, {.presence = Presence::kAbsent}), Outcome::kDone);
  EXPECT_EQ(Set("key", {.bytes = "2"}, {.presence = Presence::kAbsent}), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "2"}, {.equals = "3"}), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "2"}, {.equals = "1"}), Outcome::kDone);
  EXPECT_THAT(Get("key"), Optional(std::string("2")));
  const std::string seven = NumberBytes(7);
  EXPECT_EQ(Set("key", {.bytes = seven, .codec = kNumberCodec}), Outcome::kDone);
  EXPECT_EQ(Set("key", {.bytes = "x"}, {.equals = seven, .codec = kNumberCodec}), Outcome::kDone);
}

TEST_F(RemoteTest, WhatIsRemovedIsThereForNobody) {
  using Presence = Condition::Presence;
  EXPECT_EQ(remote_.Remove("key", {}).value(), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "1"}), Outcome::kDone);
  EXPECT_EQ(remote_.Remove("key", {.equals = "2"}).value(), Outcome::kRefused);
  EXPECT_EQ(remote_.Remove("key", {.equals = "1"}).value(), Outcome::kDone);
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_EQ(remote_.Remove("key", {}).value(), Outcome::kRefused);
  EXPECT_EQ(Add("key", 1), std::nullopt);
  EXPECT_EQ(remote_.Touch("key", {}, {}).value(), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "1"}, {.presence = Presence::kPresent}), Outcome::kRefused);
  EXPECT_EQ(Set("key", {.bytes = "1"}, {.presence = Presence::kAbsent}), Outcome::kDone);
}

TEST_F(RemoteTest, CountsInSixtyFourBitsAndLeavesTheTime) {
  const std::string large = NumberBytes(INT64_MAX - 2);
  const NewValue initial{.bytes = large, .codec = kNumberCodec, .lifetime = {.expires = In(60s)}};
  EXPECT_EQ(Add("key", 1), std::nullopt);
  EXPECT_THAT(Add("key", 1, &initial), Optional(INT64_MAX - 1));
  EXPECT_THAT(Add("key", 1, &initial), Optional(INT64_MAX));
  EXPECT_EQ(Get("key"), NumberBytes(INT64_MAX));
  EXPECT_TRUE(remote_.Get("key").value()->remaining);
  std::int64_t sum = 0;
  EXPECT_EQ(remote_.Add("key", 1, nullptr, {}, sum).value(), Outcome::kOutOfRange);
  EXPECT_EQ(Get("key"), NumberBytes(INT64_MAX));
  EXPECT_EQ(Set("text", {.bytes = "7", .codec = kTextCodec}), Outcome::kDone);
  EXPECT_EQ(remote_.Add("text", 1, nullptr, {}, sum).value(), Outcome::kNotANumber);
  EXPECT_EQ(server_.Do({"EXISTS", "n"}).integer, 0);
}

TEST_F(RemoteTest, APurgeMeetsWhatWasMarkedBeforeAndNothingElse) {
  const std::vector<TagId> red{Cache::IdOf("red")}, both{Cache::IdOf("red"), Cache::IdOf("blue")};
  const auto set = [&](const char* key, const std::vector<TagId>& tags) {
    EXPECT_EQ(remote_.Set(key, {.bytes = "x"}, tags, {}, nullptr).value(), Outcome::kDone);
  };
  set("1", red);
  set("2", both);
  EXPECT_EQ(Set("3", {.bytes = "x"}), Outcome::kDone);
  ASSERT_TRUE(remote_.Purge(Cache::IdOf("red")).ok());
  EXPECT_EQ(Get("1"), std::nullopt);
  EXPECT_EQ(Get("2"), std::nullopt);
  EXPECT_TRUE(Get("3"));
  set("1", red);
  EXPECT_TRUE(Get("1"));
  // An evicted tag may have been purged.
  EXPECT_EQ(
      server_.Do({"DEL", "t:" + std::string(reinterpret_cast<const char*>(red.data()), 8)}).integer,
      1);
  EXPECT_EQ(Get("1"), std::nullopt);
}

TEST_F(RemoteTest, WhatIsLoadedIsStoredWhereNothingHasChangedMeanwhile) {
  const std::vector<TagId> tags{Cache::IdOf("tag")};
  const auto load = [&] { return remote_.GetToLoad("key", tags).value().seen; };
  const auto store = [&](const Seen& seen, std::string_view bytes = "loaded") {
    return remote_.Set("key", {.bytes = bytes}, tags, {}, &seen).value();
  };
  EXPECT_EQ(store(load()), Outcome::kDone);
  const Seen before = load();
  EXPECT_EQ(remote_.Touch("key", {.expires = In(60s)}, {}).value(), Outcome::kDone);
  EXPECT_EQ(store(before), Outcome::kDone);  // lasting longer is no change

  const Seen set = load();
  EXPECT_EQ(Set("key", {.bytes = "set"}), Outcome::kDone);
  EXPECT_EQ(store(set), Outcome::kRefused);
  EXPECT_EQ(remote_.Remove("key", {}).value(), Outcome::kDone);
  const Seen removed = load();
  EXPECT_EQ(remote_.Remove("key", {}).value(), Outcome::kRefused);  // nothing was there
  EXPECT_EQ(store(removed), Outcome::kRefused);
  const Seen purged = load();
  ASSERT_TRUE(remote_.Purge(tags.front()).ok());
  EXPECT_EQ(store(purged), Outcome::kRefused);
  const Seen first = load(), second = load();
  EXPECT_EQ(store(first, "1"), Outcome::kDone);
  EXPECT_EQ(store(second, "2"), Outcome::kRefused);
  EXPECT_THAT(Get("key"), Optional(std::string("1")));
}

TEST_F(RemoteTest, WhatOthersHaveWrittenThereIsNothing) {
  for (const std::string& junk : {std::string(),
                                  std::string("V"),
                                  std::string(19, 'V'),
                                  std::string("V") + std::string(17, 'x') + "\xff",
                                  std::string("V12345678\xff") + std::string(9, '\0') + "12x"}) {
    ASSERT_TRUE(server_.Do({"SET", "v:key", junk}).is_status("OK"));
    EXPECT_EQ(Get("key"), std::nullopt) << testing::PrintToString(junk);
    EXPECT_FALSE(remote_.GetToLoad("key", {}).value().value);
  }
  server_.Do({"DEL", "v:key"});
  server_.Do({"LPUSH", "v:key", "x"});
  const auto found = remote_.Get("key");
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(Remote::Answered(found.error()));
}

TEST_F(RemoteTest, AFullOneRefusesWhatIsNewAndRemovesWhatIsOld) {
  const std::vector<TagId> tags{Cache::IdOf("tag")};
  EXPECT_EQ(remote_.Set("key", {.bytes = "old"}, tags, {}, nullptr).value(), Outcome::kDone);
  EXPECT_EQ(Set("other", {.bytes = "old"}), Outcome::kDone);
  server_.Do({"CONFIG", "SET", "maxmemory", "1"});
  const auto set = remote_.Set("key", {.bytes = "new"}, tags, {}, nullptr);
  ASSERT_FALSE(set.ok());
  EXPECT_TRUE(Remote::Answered(set.error())) << set.error().message;
  EXPECT_TRUE(remote_.Purge(tags.front()).ok());
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_EQ(remote_.Remove("other", {}).value(), Outcome::kDone);
  EXPECT_EQ(Get("other"), std::nullopt);
}

TEST_F(RemoteTest, RemovesAllThatBeginsSo) {
  for (const char* key : {"a*1", "a*2", "ab3", "b"})
    EXPECT_EQ(Set(key, {.bytes = "x"}), Outcome::kDone);
  EXPECT_EQ(remote_.RemoveAll("a*", In(20s)).value(), 2U);
  EXPECT_EQ(Get("a*1"), std::nullopt);
  EXPECT_TRUE(Get("ab3") && Get("b"));
}

TEST_F(RemoteTest, AChildDoesNotUseItsParentsConnections) {
  ASSERT_TRUE(remote_.Get("key").ok());
  const auto has_answer = [this] { return remote_.Get("key").ok() ? 1 : 0; };
  EXPECT_EXIT(std::_Exit(has_answer()), testing::ExitedWithCode(0), "");
}

TEST_F(RemoteTest, OneThatIsGoneHasNotAnswered) {
  Remote unconnected({.values = "v:", .tags = "t:", .scratch = "n"}, clock_);
  const auto never = unconnected.Get("key");
  ASSERT_FALSE(never.ok());
  EXPECT_FALSE(Remote::Answered(never.error()));
  EXPECT_FALSE(unconnected.Purge(Cache::IdOf("tag")).ok());
  server_.Kill();
  const auto gone = remote_.Get("key");
  ASSERT_FALSE(gone.ok());
  EXPECT_FALSE(Remote::Answered(gone.error()));
}

}  // namespace
}  // namespace onebox::cache
