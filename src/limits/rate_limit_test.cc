#include "limits/rate_limit.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::limits {
namespace {

using Kind = Verdict::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kBegin{std::chrono::hours(1)};

TEST(RateLimit, LetsABurstPassAndThenTheRate) {
  RateLimit limit({.interval = milliseconds(100), .burst = 3});
  Time now = kBegin;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(limit.Ask(7, now).kind, Kind::kPass);
  const Verdict refused = limit.Ask(7, now);
  EXPECT_EQ(refused.kind, Kind::kRate);
  EXPECT_EQ(refused.wait, milliseconds(100));

  now += milliseconds(99);
  EXPECT_EQ(limit.Ask(7, now).kind, Kind::kRate);
  now += milliseconds(1);
  EXPECT_EQ(limit.Ask(7, now).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, now).kind, Kind::kRate);

  now += seconds(10);  // saves no more than the burst
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(limit.Ask(7, now).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, now).kind, Kind::kRate);
}

TEST(RateLimit, CountsEachKeyByItself) {
  RateLimit limit({.interval = seconds(1)});
  EXPECT_EQ(limit.Ask(0, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(0, kBegin).kind, Kind::kRate);
  EXPECT_EQ(limit.Ask(8, kBegin).kind, Kind::kPass);
}

TEST(RateLimit, DelaysUpToATime) {
  RateLimit limit({.interval = milliseconds(100), .burst = 2, .delay_max = milliseconds(250)});
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  for (const int wait : {100, 200}) {
    const Verdict delayed = limit.Ask(7, kBegin);
    EXPECT_EQ(delayed.kind, Kind::kDelay);
    EXPECT_EQ(delayed.wait, milliseconds(wait));
  }
  const Verdict refused = limit.Ask(7, kBegin);
  EXPECT_EQ(refused.kind, Kind::kRate);
  EXPECT_EQ(refused.wait, milliseconds(300));
}

TEST(RateLimit, DelaysUpToANumber) {
  RateLimit limit({.interval = milliseconds(100), .delay_max = seconds(9), .delayed_max = 2});
  for (const std::uint64_t key : {1U, 2U, 3U})
    EXPECT_EQ(limit.Ask(key, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(1, kBegin).kind, Kind::kDelay);
  EXPECT_EQ(limit.Ask(2, kBegin).kind, Kind::kDelay);
  EXPECT_EQ(limit.Ask(3, kBegin).kind, Kind::kRate);
  limit.EndDelay();
  EXPECT_EQ(limit.Ask(3, kBegin).kind, Kind::kDelay);
}

TEST(RateLimit, CountsThoseAtOnce) {
  RateLimit limit({.at_once = 2});
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kAtOnce);
  EXPECT_EQ(limit.Ask(9, kBegin).kind, Kind::kPass);
  limit.Leave(7);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kAtOnce);
}

TEST(RateLimit, WhatIsRefusedAtOnceDoesNotCountForTheRate) {
  RateLimit limit({.interval = seconds(1), .burst = 2, .at_once = 1});
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kAtOnce);
  limit.Leave(7);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
}

// A clock of another thread that is behind does not give more.
TEST(RateLimit, HoldsWhereClocksDiffer) {
  RateLimit limit({.interval = milliseconds(100)});
  EXPECT_EQ(limit.Ask(7, kBegin + milliseconds(3)).kind, Kind::kPass);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kRate);
}

// The exact reference: of all that have passed, no more than burst in the time before any of them.
TEST(RateLimit, SaysWhatACountOfTokensSays) {
  struct Bucket {
    std::int64_t tokens = 0;  // in nanoseconds of the rate
    Time filled{};
  };
  std::mt19937 random(9);
  for (int round = 0; round < 100; ++round) {
    const Duration interval(1 + random() % 1'000'000);
    const auto burst = static_cast<std::uint32_t>(1 + random() % 9);
    const std::int64_t full = interval.count() * burst;
    RateLimit limit({.interval = interval, .burst = burst, .keys_max = 1024});
    std::map<std::uint64_t, Bucket> buckets;
    Time now = kBegin;
    for (int i = 0; i < 500; ++i) {
      now += Duration(random() % static_cast<std::uint64_t>(interval.count()));
      const std::uint64_t key = 1 + random() % 5;
      Bucket& bucket = buckets.try_emplace(key, Bucket{full, now}).first->second;
      bucket.tokens = std::min(full, bucket.tokens + (now - bucket.filled).count());
      bucket.filled = now;
      const bool passes = bucket.tokens >= interval.count();
      if (passes) bucket.tokens -= interval.count();
      ASSERT_EQ(limit.Ask(key, now).kind == Kind::kPass, passes) << "round " << round;
    }
  }
}

// A flood of new clients: memory is what it was, and who has sent most is still known.
TEST(RateLimit, RemembersTheBusyInAFlood) {
  RateLimit limit({.interval = seconds(10), .burst = 100, .keys_max = 64});
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  bool evicted = false;
  for (std::uint64_t other = 1000; other < 20'000; ++other) {
    const Verdict verdict = limit.Ask(other, kBegin);
    EXPECT_EQ(verdict.kind, Kind::kPass);
    evicted |= verdict.evicted;
  }
  EXPECT_TRUE(evicted);
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kRate);
}

TEST(RateLimit, ForgetsNobodyWhileThoseOfBeforeHaveNothingToRemember) {
  RateLimit limit({.interval = seconds(1), .keys_max = 64});
  Time now = kBegin;
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    EXPECT_FALSE(limit.Ask(key, now).evicted);
    now += milliseconds(20);  // 50 keys a second, each for a second
  }
}

TEST(RateLimit, KeepsThoseThatRunInAFlood) {
  RateLimit limit({.at_once = 1, .keys_max = 64});
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kPass);
  for (std::uint64_t other = 1000; other < 20'000; ++other) {
    ASSERT_EQ(limit.Ask(other, kBegin).kind, Kind::kPass);
    limit.Leave(other);
  }
  EXPECT_EQ(limit.Ask(7, kBegin).kind, Kind::kAtOnce);
}

TEST(RateLimit, LosesNothingWhereAKeyLeavesThatWasForgotten) {
  RateLimit limit({.at_once = 1, .keys_max = 8});
  for (std::uint64_t key = 1; key <= 100; ++key)
    EXPECT_EQ(limit.Ask(key, kBegin).kind, Kind::kPass);
  for (std::uint64_t key = 1; key <= 100; ++key)
    limit.Leave(key);
  for (std::uint64_t key = 1; key <= 8; ++key)
    EXPECT_EQ(limit.Ask(key, kBegin).kind, Kind::kPass);
}

TEST(RateLimit, IsExactFromManyThreads) {
  constexpr std::uint32_t kBurst = 1000;
  RateLimit limit({.interval = std::chrono::hours(1), .burst = kBurst, .at_once = 1'000'000});
  std::atomic<std::uint32_t> passed{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&limit, &passed] {
      for (std::uint32_t n = 0; n < kBurst; ++n) {
        if (limit.Ask(7, kBegin).kind != Kind::kPass) continue;
        passed.fetch_add(1);
        limit.Leave(7);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(passed.load(), kBurst);
}

}  // namespace
}  // namespace onebox::limits
