#include "cache/second_level.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/clock.h"
#include "redis/testing.h"
#include "redis/tracking.h"

namespace onebox::cache {
namespace {

using ::testing::Optional;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using redis::testing::Eventually;
using redis::testing::RedisServer;

SecondSettings SettingsFor(const RedisServer& server) {
  return {.url = "unix://" + server.address().path, .prefix = "app:", .timeout = 300ms};
}

// What a box does: a process that asks, and one thread that hears.
class Box {
 public:
  explicit Box(const RedisServer& server) : settings_(SettingsFor(server)) {
    second_.Connect(4);
    Hear();
  }

  void Hear() {
    tracking_.emplace(
        redis::Tracking::Options{.address = redis::Address::Parse(settings_.url).value(),
                                 .prefix = TrackedPrefix(settings_),
                                 .forget = [this](std::string_view key) { second_.Hear(key); },
                                 .forget_all = [] {}},
        cache_.second().trust,
        clock_);
    EXPECT_TRUE(Eventually([this] { return Trusts(); }));
  }
  void HearNoMore() { tracking_.reset(); }
  bool Trusts() const {
    const redis::Trust& trust = cache_.second().trust;
    return trust.Holds(trust.Generation(), clock_.Now());
  }

  std::optional<std::string> Get(std::string_view bytes) {
    Value value;
    const Key key = cache_.KeyOf(bytes, "");
    Answer answer = cache_.Get(key, clock_.Now(), Wait::kForOthers, value);
    if (answer == Answer::kAbsent) answer = second_.Get(key, value);
    if (answer == Answer::kAbsent) return std::nullopt;
    return (answer == Answer::kStale ? "stale " : "") + value.bytes;
  }
  // From its own memory.
  std::optional<std::string> GetHere(std::string_view bytes) {
    Value value;
    const Answer answer =
        cache_.Get(cache_.KeyOf(bytes, ""), clock_.Now(), Wait::kForOthers, value);
    return answer == Answer::kAbsent ? std::nullopt : std::optional(value.bytes);
  }
  Outcome Set(std::string_view key, std::string_view bytes, const Condition& condition = {}) {
    return second_.Set(cache_.KeyOf(key, ""), {.bytes = bytes}, tags, condition);
  }
  Outcome Remove(std::string_view key) { return second_.Remove(cache_.KeyOf(key, ""), {}); }

  struct Load {
    Cache::Loading loading;
    Ticket ticket;
    Value value;
  };
  Load Claim(std::string_view bytes) {
    Load load;
    const Key key = cache_.KeyOf(bytes, "");
    load.loading = cache_.GetOrClaim(key, 30s, clock_.Now(), Wait::kForOthers, load.value);
    if (load.loading.next == Cache::Loading::Next::kLoad) {
      second_.AskToLoad(key, tags, load.value, load.loading, load.ticket);
    }
    return load;
  }
  Outcome Fulfil(std::string_view key, const Load& load, const NewValue& value) {
    return second_.Fulfil(cache_.KeyOf(key, ""), load.loading.token, value, load.ticket);
  }
  Time In(Duration duration) const { return clock_.Now() + duration; }

  std::vector<TagId> tags{Cache::IdOf("tag")};
  os::SystemClock clock_;
  Cache cache_ = Cache::Create(kCacheBytesMin).value();
  SecondSettings settings_;
  SecondLevel second_{cache_, settings_, clock_};
  std::optional<redis::Tracking> tracking_;
};

class SecondLevelTest : public testing::Test {
 protected:
  static bool IsUnknown(Box& box, std::string_view key) {
    return Eventually([&] { return box.Get(key) == std::nullopt; });
  }

  RedisServer server_;
  Box one_{server_}, other_{server_};
};

using Next = Cache::Loading::Next;

TEST(SecondSettingsTest, LieInTheMemoryOfTheBox) {
  Cache cache = Cache::Create(kCacheBytesMin).value();
  EXPECT_EQ(ReadSettings(cache), SecondSettings());
  const SecondSettings settings{
      .url = "redis://:secret@h/1", .prefix = "an app:", .timeout = 70ms, .locks = true};
  ASSERT_TRUE(WriteSettings(settings, cache).ok());
  EXPECT_EQ(ReadSettings(cache), settings);
  const std::string long_url(SecondHead::kSettingsBytesMax, 'x');
  EXPECT_FALSE(WriteSettings({.url = long_url}, cache).ok());
}

TEST_F(SecondLevelTest, WhatWasReadIsKeptUntilItIsTold) {
  ASSERT_EQ(one_.Set("key", "1"), Outcome::kDone);
  EXPECT_THAT(other_.Get("key"), Optional(std::string("1")));
  EXPECT_TRUE(Eventually([&] { return other_.Get("key") && other_.GetHere("key"); }));
  EXPECT_TRUE(Eventually([&] { return one_.Get("key") && one_.GetHere("key"); }));
  ASSERT_EQ(one_.Set("key", "2"), Outcome::kDone);
  EXPECT_NE(one_.GetHere("key"), "1");  // who writes need not be told
  EXPECT_TRUE(Eventually([&] { return other_.Get("key") == "2"; }));
  ASSERT_EQ(one_.Remove("key"), Outcome::kDone);
  EXPECT_TRUE(IsUnknown(other_, "key"));
}

TEST_F(SecondLevelTest, WhatWasToldWhileItWasOnItsWayIsNotKept) {
  const Key key = one_.cache_.KeyOf("key", "");
  const std::uint64_t token = one_.cache_.Claim(key, 30s, one_.clock_.Now(), Wait::kForOthers);
  ASSERT_NE(token, 0U);
  one_.second_.Hear("app:c:v:key");
  EXPECT_EQ(one_.cache_.Fulfil(key, token, {.bytes = "old"}, one_.clock_.Now(), Wait::kForOthers),
            Outcome::kRefused);
}

TEST_F(SecondLevelTest, WhatIsReadWhileAnotherLoadsIsNotKeptInItsPlace) {
  const Box::Load load = one_.Claim("key");
  ASSERT_EQ(load.loading.next, Next::kLoad);
  ASSERT_EQ(other_.Set("key", "set"), Outcome::kDone);
  EXPECT_THAT(one_.Get("key"), Optional(std::string("set")));
  EXPECT_EQ(one_.Fulfil("key", load, {.bytes = "loaded"}), Outcome::kRefused);
  EXPECT_THAT(one_.Get("key"), Optional(std::string("set")));
}

TEST_F(SecondLevelTest, APurgeReachesTheOthers) {
  ASSERT_EQ(one_.Set("key", "1"), Outcome::kDone);
  EXPECT_TRUE(Eventually([&] { return other_.Get("key") && other_.GetHere("key"); }));
  ASSERT_EQ(one_.second_.Purge(one_.tags.front()), Outcome::kDone);
  EXPECT_EQ(one_.Get("key"), std::nullopt);
  EXPECT_TRUE(IsUnknown(other_, "key"));
}

TEST_F(SecondLevelTest, AStaleValueIsForTheOthersWhileOneLoads) {
  const Box::Load first = one_.Claim("key");
  ASSERT_EQ(one_.Fulfil("key", first, {.bytes = "old", .lifetime = {one_.In(60s), one_.In(-1s)}}),
            Outcome::kDone);
  // Of the key and of its tag: what is told ends a claim.
  EXPECT_TRUE(Eventually([&] { return other_.tracking_->look().counters.invalidations >= 2; }));
  const Box::Load loads = other_.Claim("key");
  EXPECT_EQ(loads.loading.next, Next::kLoad);
  EXPECT_EQ(loads.loading.answer, Answer::kStale);
  EXPECT_EQ(loads.value.bytes, "old");
  const Box::Load waits = other_.Claim("key");
  EXPECT_EQ(waits.loading.next, Next::kUse);
  EXPECT_EQ(waits.value.bytes, "old");
  ASSERT_EQ(other_.Fulfil("key", loads, {.bytes = "new"}), Outcome::kDone);
  EXPECT_TRUE(Eventually([&] { return one_.Get("key") == "new" && other_.Get("key") == "new"; }));
}

TEST_F(SecondLevelTest, WhatIsTheBoxesOwnStaysSo) {
  const Key key = one_.cache_.KeyOf("key", "");
  const NewValue own{.bytes = "own", .keep = Keep::kUntilItExpires};
  ASSERT_EQ(one_.cache_.Set(key, own, {}, one_.clock_.Now(), Wait::kForOthers), Outcome::kDone);
  ASSERT_EQ(other_.Set("key", "theirs"), Outcome::kDone);
  ASSERT_EQ(other_.Set("seen", "x"), Outcome::kDone);
  EXPECT_TRUE(Eventually([&] { return one_.tracking_->look().counters.invalidations >= 2; }));
  EXPECT_THAT(one_.Get("key"), Optional(std::string("own")));
  EXPECT_EQ(one_.Set("key", "2", {.presence = Condition::Presence::kAbsent}), Outcome::kRefused);
  EXPECT_EQ(one_.Remove("key"), Outcome::kDone);
  EXPECT_EQ(one_.Get("key"), std::nullopt);
}

TEST_F(SecondLevelTest, NothingThatWasReadIsUsedWhileNobodyHears) {
  ASSERT_EQ(one_.Set("key", "1"), Outcome::kDone);
  EXPECT_TRUE(Eventually([&] { return other_.Get("key") && other_.GetHere("key"); }));
  other_.HearNoMore();
  EXPECT_EQ(other_.GetHere("key"), std::nullopt);
  ASSERT_EQ(one_.Set("key", "2"), Outcome::kDone);
  EXPECT_THAT(other_.Get("key"), Optional(std::string("2")));
  other_.Hear();
  EXPECT_EQ(other_.GetHere("key"), std::nullopt);  // it was read before
  EXPECT_THAT(other_.Get("key"), Optional(std::string("2")));
}

TEST_F(SecondLevelTest, AloneItGoesOnUntilRedisIsHeardAgain) {
  ASSERT_EQ(one_.Set("key", "before"), Outcome::kDone);
  ASSERT_THAT(one_.Get("key"), Optional(std::string("before")));
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !one_.Trusts(); }));
  EXPECT_EQ(one_.Get("key"), std::nullopt);
  ASSERT_EQ(one_.Set("key", "alone"), Outcome::kDone);
  EXPECT_THAT(one_.Get("key"), Optional(std::string("alone")));
  EXPECT_EQ(one_.Set("key", "x", {.presence = Condition::Presence::kAbsent}), Outcome::kRefused);
  const Box::Load load = one_.Claim("loaded");
  ASSERT_EQ(load.loading.next, Next::kLoad);
  ASSERT_EQ(one_.Fulfil("loaded", load, {.bytes = "alone"}), Outcome::kDone);
  EXPECT_EQ(one_.Claim("loaded").loading.next, Next::kUse);

  server_.Start();
  ASSERT_TRUE(Eventually([&] { return one_.Trusts() && other_.Trusts(); }));
  EXPECT_EQ(one_.GetHere("key"), std::nullopt);
  EXPECT_EQ(one_.GetHere("loaded"), std::nullopt);
  // It was told that the key is gone; what comes then stays.
  ASSERT_TRUE(Eventually([&] { return one_.second_.Settle().ok(); }));
  EXPECT_TRUE(Eventually([&] {
    other_.Set("key", "theirs");  // alone, as long as its own way is not there again
    return one_.Get("key") == "theirs";
  }));
}

TEST_F(SecondLevelTest, WhatItCouldNotBeToldItIsToldBeforeItIsAsked) {
  for (const char* key : {"set", "removed", "tagged", "left"}) {
    one_.tags = {Cache::IdOf(std::string_view(key) == "tagged" ? "purged" : "tag")};
    ASSERT_EQ(one_.Set(key, "before"), Outcome::kDone);
  }
  server_.Stop();
  ASSERT_TRUE(Eventually([&] { return !one_.Trusts(); }));
  EXPECT_EQ(one_.Set("set", "alone"), Outcome::kDone);
  EXPECT_NE(one_.Remove("removed"), Outcome::kBusy);
  EXPECT_EQ(one_.second_.Purge(Cache::IdOf("purged")), Outcome::kDone);
  server_.Continue();
  // Also by another process, which has not been here.
  SecondLevel process(one_.cache_, one_.settings_, one_.clock_);
  process.Connect(1);
  ASSERT_TRUE(Eventually([&] { return process.Settle().ok() && one_.Trusts(); }));
  for (Box* box : {&one_, &other_}) {
    for (const char* key : {"set", "removed", "tagged"})
      EXPECT_TRUE(IsUnknown(*box, key)) << key;
    EXPECT_TRUE(Eventually([&] { return box->Get("left") == "before"; }));
  }
}

TEST_F(SecondLevelTest, WhereThereIsNoRoomToNoteItNothingIsPromised) {
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !one_.Trusts(); }));
  Outcome outcome = Outcome::kDone;
  for (int i = 0; i < 100'000 && outcome != Outcome::kBusy; ++i)
    outcome = one_.Remove("key " + std::to_string(i));
  EXPECT_EQ(outcome, Outcome::kBusy);
}

TEST_F(SecondLevelTest, WhatAFullOneDoesNotTakeIsHereForAMoment) {
  const Box::Load load = one_.Claim("key");
  server_.Do({"CONFIG", "SET", "maxmemory", "1"});
  ASSERT_EQ(one_.Fulfil("key", load, {.bytes = "loaded"}), Outcome::kDone);
  Value value;
  const Key key = one_.cache_.KeyOf("key", "");
  ASSERT_EQ(one_.cache_.Get(key, one_.clock_.Now(), Wait::kForOthers, value), Answer::kFresh);
  ASSERT_TRUE(value.expires);
  EXPECT_LE(*value.expires, one_.In(2s));
  EXPECT_EQ(one_.Set("key", "set"), Outcome::kFull);
  EXPECT_EQ(one_.GetHere("key"), std::nullopt);
}

TEST(OriginTest, AloneCountsWhileNothingIsHeardAndNeverAgain) {
  redis::Trust trust;
  constexpr Time kNow{std::chrono::hours(1)};
  const std::int64_t now = kNow.time_since_epoch().count();
  const Origin first = Origin::AloneIn(trust);
  EXPECT_TRUE(first.Counts(trust, now));
  trust.Raise();
  EXPECT_FALSE(first.Counts(trust, now));
  trust.ExtendTo(kNow + 1s);
  const Origin heard = Origin::AloneIn(trust), read = Origin::Read(trust.Generation());
  EXPECT_FALSE(heard.Counts(trust, now));
  EXPECT_TRUE(read.Counts(trust, now));
  // Whoever hears was late, and goes on; then it is late again.
  const std::int64_t late = (kNow + 2s).time_since_epoch().count();
  EXPECT_FALSE(read.Counts(trust, late));
  const Origin between = Origin::AloneIn(trust);
  EXPECT_TRUE(between.Counts(trust, late));
  trust.ExtendTo(kNow + 3s);
  EXPECT_FALSE(between.Counts(trust, late));
  EXPECT_FALSE(between.Counts(trust, (kNow + 4s).time_since_epoch().count()));
  EXPECT_TRUE(Origin().Counts(trust, now));
}

}  // namespace
}  // namespace onebox::cache
