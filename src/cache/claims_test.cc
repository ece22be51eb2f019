// Does one caller load, and only one, whatever happens to him and to the key meanwhile?

#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/testing.h"

namespace onebox::cache {
namespace {

using Next = Cache::Loading::Next;

class Claims : public CacheTest {
 protected:
  Cache::Loading Ask(std::string_view key = "key", Duration lease = 10s) {
    return cache_.GetOrClaim(KeyOf(key), lease, Now(), Wait::kForOthers, value_);
  }
  std::uint64_t Claim(std::string_view key = "key", Duration lease = 10s) {
    const auto loading = Ask(key, lease);
    EXPECT_EQ(loading.next, Next::kLoad);
    return loading.token;
  }
  Outcome Fulfil(std::uint64_t token, const NewValue& value = {.bytes = "loaded"}) {
    return cache_.Fulfil(KeyOf("key"), token, value, Now(), Wait::kNot);
  }
  Outcome GiveUp(std::uint64_t token) {
    return cache_.GiveUp(KeyOf("key"), token, Now(), Wait::kNot);
  }

  Value value_;
};

TEST_F(Claims, OneLoadsAndTheOthersWait) {
  const std::uint64_t token = Claim();
  EXPECT_EQ(Ask().next, Next::kWait);
  EXPECT_EQ(Ask().next, Next::kWait);
  EXPECT_EQ(Ask("another").next, Next::kLoad) << "another key is another matter";
  EXPECT_EQ(Fulfil(token), Outcome::kDone);
  const auto loading = Ask();
  EXPECT_EQ(loading.next, Next::kUse);
  EXPECT_EQ(loading.answer, Answer::kFresh);
  EXPECT_EQ(value_.bytes, "loaded");
  EXPECT_EQ(Fulfil(token), Outcome::kRefused) << "once";
}

TEST_F(Claims, WhoGivesUpLeavesItToTheNext) {
  const std::uint64_t token = Claim();
  EXPECT_EQ(GiveUp(token + 1), Outcome::kRefused) << "that is somebody else's";
  EXPECT_EQ(Ask().next, Next::kWait);
  EXPECT_EQ(GiveUp(token), Outcome::kDone);
  EXPECT_EQ(GiveUp(token), Outcome::kRefused);
  EXPECT_EQ(Fulfil(token), Outcome::kRefused);
  EXPECT_NE(Claim(), token);
}

// What was loaded before a change may be old, so it does not come after it.
TEST_F(Claims, EndWhereTheKeyChanges) {
  const std::int64_t one = 1;
  const NewValue number{.bytes = {reinterpret_cast<const char*>(&one), sizeof one},
                        .codec = kNumberCodec};
  std::int64_t sum = 0;
  const struct {
    const char* why;
    std::function<void()> change;
    bool there;
  } cases[] = {
      {"it is set", [&] { Set("key", "other"); }, true},
      {"it is set and kept", [&] { SetKept("key", "other"); }, true},
      {"it is removed", [&] { Remove("key"); }, false},
      {"it is set and removed", [&] { Set("key", "x"), Remove("key"); }, false},
      {"it becomes a number",
       [&] { cache_.Add(KeyOf("key"), 1, &number, Now(), Wait::kNot, sum); },
       true},
      {"it is set where nothing is",
       [&] { Set("key", {.bytes = "x"}, {Condition::Presence::kAbsent}); },
       true},
      {"it would be set, and is too large",
       [&] { Set("key", std::string(cache_.value_bytes_max() + 1, 'x')); },
       false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Remove("key");
    const std::uint64_t token = Claim();
    c.change();
    EXPECT_EQ(Fulfil(token), Outcome::kRefused);
    EXPECT_EQ(Get("key").has_value(), c.there);
    EXPECT_NE(Get("key"), "loaded");
  }
}

TEST_F(Claims, StandWhereTheKeyDoesNotChange) {
  const struct {
    const char* why;
    std::function<void()> change;
  } cases[] = {
      {"it is asked for", [&] { Get("key"); }},
      {"a condition does not hold",
       [&] { Set("key", {.bytes = "x"}, {Condition::Presence::kPresent}); }},
      {"it is touched, and is not there", [&] { Touch("key", {}); }},
      {"another key is set", [&] { Set("another", "x"); }},
      {"the cache is filled",
       [&] {
         for (int i = 0; i < 10'000; ++i)
           Set(std::to_string(i), std::string(500, 'x'));
       }},
      {"the cache is kept",
       [&] {
         for (int i = 0; i < 3'000; ++i)
           SetKept(std::to_string(i), std::string(500, 'x'), {.expires = In(5s)});
       }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Remove("key");
    const std::uint64_t token = Claim("key", 1h);
    c.change();
    EXPECT_EQ(Ask().next, Next::kWait);
    EXPECT_EQ(Fulfil(token), Outcome::kDone);
    EXPECT_EQ(Get("key"), "loaded");
    clock_.Advance(10s);
  }
}

TEST_F(Claims, LastAsLongAsTheirLease) {
  const std::uint64_t first = Claim("key", 10s);
  clock_.Advance(10s - 1ns);
  EXPECT_EQ(Ask().next, Next::kWait);
  clock_.Advance(1ns);
  EXPECT_EQ(Fulfil(first), Outcome::kRefused);
  const std::uint64_t second = Claim("key", 10s);
  EXPECT_NE(second, first);
  EXPECT_EQ(Fulfil(first), Outcome::kRefused);
  EXPECT_EQ(GiveUp(first), Outcome::kRefused);
  EXPECT_EQ(Fulfil(second), Outcome::kDone);
}

TEST_F(Claims, APurgeMeanwhileMeetsWhatIsLoaded) {
  const std::array<TagMark, 1> tags = {cache_.MarkOf("prices")};
  const std::uint64_t token = Claim();
  cache_.Purge("prices");
  EXPECT_EQ(Fulfil(token, {.bytes = "old", .tags = tags}), Outcome::kDone);
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_EQ(Ask().next, Next::kLoad);
}

TEST_F(Claims, OthersHaveTheStaleValueMeanwhile) {
  Set("key", "old", {.expires = In(20s), .fresh = In(10s)});
  EXPECT_EQ(Ask().next, Next::kUse);
  clock_.Advance(10s);
  const auto loading = Ask();
  EXPECT_EQ(loading.next, Next::kLoad);
  EXPECT_EQ(loading.answer, Answer::kStale);
  EXPECT_EQ(value_.bytes, "old");
  EXPECT_EQ(Ask().next, Next::kUse);
  EXPECT_EQ(Ask().answer, Answer::kStale);
  clock_.Advance(10s);
  EXPECT_EQ(Ask("key").next, Next::kLoad) << "the lease has passed, and the value expired";
}

TEST_F(Claims, OthersWaitWhereWhatWasStaleHasExpired) {
  Set("key", "old", {.expires = In(20s), .fresh = In(10s)});
  clock_.Advance(15s);
  const std::uint64_t token = Claim();
  clock_.Advance(5s);
  EXPECT_EQ(Ask().next, Next::kWait);
  EXPECT_EQ(Fulfil(token), Outcome::kDone);
}

TEST_F(Claims, AreNoEntriesToThoseWhoLook) {
  const std::uint64_t token = Claim();
  EXPECT_EQ(Get("key"), std::nullopt);
  EXPECT_FALSE(Remove("other"));
  auto figures = Figures();
  EXPECT_EQ(figures.entries, 0U);
  EXPECT_EQ(figures.entries_kept, 0U);
  for (const auto& row : figures.rows)
    EXPECT_EQ(row.sets, 0U) << "of " << row.name;
  cache_.ForEach(Now(), [](const Entry&, std::string_view) { ADD_FAILURE(); });
  EXPECT_EQ(GiveUp(token), Outcome::kDone);
  EXPECT_EQ(Figures().bytes_used, 0U);
}

TEST_F(Claims, WhereAllRoomIsKeptEachLoadsForHimself) {
  for (int i = 0; i < 20'000; ++i)
    SetKept(std::to_string(i), std::string(10, 'k'));
  const auto loading = Ask();
  EXPECT_EQ(loading.next, Next::kWithout);
  EXPECT_EQ(loading.token, 0U);
}

pid_t Forked(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  return child;
}

TEST_F(Claims, OfTheDeadAreNobodys) {
  const pid_t child = Forked([&] { Ask("key", 1h); });
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const std::uint64_t token = Claim();
  EXPECT_EQ(Fulfil(token), Outcome::kDone);
}

TEST_F(Claims, OfThoseWhoLiveStand) {
  const pid_t child = Forked([&] {
    Ask("key", 1h);
    ::pause();
  });
  const Time until = real_clock_.Now() + 20s;
  while (Figures().bytes_used == 0 && real_clock_.Now() < until)
    LetPass(1ms);
  EXPECT_EQ(Ask().next, Next::kWait);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(Ask().next, Next::kLoad);
}

// --- waiting

// How long somebody waits who began before something was done.
Duration WaitWhile(Cache& cache, std::string_view key, std::uint32_t turn, auto change) {
  Duration waited{};
  std::thread waiter([&] {
    const Time begin = os::SystemClock().Now();
    cache.Await(cache.KeyOf(key, ""), turn, 20s);
    waited = os::SystemClock().Now() - begin;
  });
  LetPass(20ms);
  change();
  waiter.join();
  return waited;
}

TEST_F(Claims, WhoWaitsIsToldAtOnce) {
  const struct {
    const char* why;
    std::function<void(std::uint64_t)> change;
  } cases[] = {
      {"it is loaded", [&](std::uint64_t token) { Fulfil(token); }},
      {"the loader gives up", [&](std::uint64_t token) { GiveUp(token); }},
      {"it is set by another", [&](std::uint64_t) { Set("key", "x"); }},
      {"it is removed, and was not there", [&](std::uint64_t) { Remove("key"); }},
      {"what is loaded is too large",
       [&](std::uint64_t token) {
         Fulfil(token, {.bytes = std::string(cache_.value_bytes_max() + 1, 'x')});
       }},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Remove("key");
    const std::uint64_t token = Claim();
    const auto loading = Ask();
    ASSERT_EQ(loading.next, Next::kWait);
    EXPECT_LT(WaitWhile(cache_, "key", loading.turn, [&] { c.change(token); }), 10s);
    EXPECT_NE(cache_.TurnOf(KeyOf("key")), loading.turn);
  }
}

TEST_F(Claims, WhoComesTooLateToWaitDoesNot) {
  const std::uint32_t turn = cache_.TurnOf(KeyOf("key"));
  Set("key", "x");
  const Time begin = real_clock_.Now();
  cache_.Await(KeyOf("key"), turn, 20s);
  EXPECT_LT(real_clock_.Now() - begin, 10s);
}

TEST_F(Claims, WaitingEndsInTime) {
  const std::uint32_t turn = cache_.TurnOf(KeyOf("key"));
  cache_.Await(KeyOf("key"), turn, 1ms);
  cache_.Await(KeyOf("key"), turn, 0s);
  EXPECT_EQ(cache_.TurnOf(KeyOf("key")), turn);
}

TEST_F(Claims, WhoWaitsInAnotherProcessIsToldAndHisDeathCostsNothing) {
  const std::uint32_t turn = cache_.TurnOf(KeyOf("key"));
  const auto wait = [&] { cache_.Await(KeyOf("key"), turn, 20s); };
  const pid_t killed = Forked(wait), woken = Forked(wait);
  LetPass(50ms);
  ::kill(killed, SIGKILL);
  ASSERT_EQ(::waitpid(killed, nullptr, 0), killed);
  const Time begin = real_clock_.Now();
  Set("key", "x");
  ASSERT_EQ(::waitpid(woken, nullptr, 0), woken);
  EXPECT_LT(real_clock_.Now() - begin, 10s);
}

}  // namespace
}  // namespace onebox::cache
