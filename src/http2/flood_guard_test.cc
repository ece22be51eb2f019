#include "http2/flood_guard.h"

#include <set>

#include <gtest/gtest.h>

namespace onebox::http2 {
namespace {

constexpr Time kStart{std::chrono::hours(1)};

TEST(FloodLimits, HaveANameOfTheirOwn) {
  std::set<std::string_view> names;
  for (const FloodLimit& limit : kFloodLimits)
    EXPECT_TRUE(names.insert(limit.name).second) << limit.name;
}

TEST(FloodGuard, LetsABurstThroughAndNoMore) {
  for (const FloodLimit& limit : kFloodLimits) {
    SCOPED_TRACE(limit.name);
    FloodGuard guard;
    for (std::uint32_t i = 0; i < limit.burst; ++i)
      ASSERT_FALSE(guard.Exceeds(limit.flood, kStart));
    EXPECT_TRUE(guard.Exceeds(limit.flood, kStart));
  }
}

TEST(FloodGuard, NeverMindsAClientThatKeepsToTheRate) {
  FloodGuard guard;
  const FloodLimit& limit = LimitOf(Flood::kResets);
  for (int second = 0; second < 100; ++second) {
    for (std::uint32_t i = 0; i < limit.per_second; ++i)
      ASSERT_FALSE(guard.Exceeds(limit.flood, kStart + std::chrono::seconds(second)));
  }
}

TEST(FloodGuard, CountsEachKindByItself) {
  FloodGuard guard;
  for (std::uint32_t i = 0; i < LimitOf(Flood::kPings).burst; ++i)
    ASSERT_FALSE(guard.Exceeds(Flood::kPings, kStart));
  EXPECT_FALSE(guard.Exceeds(Flood::kSettings, kStart));
  EXPECT_TRUE(guard.Exceeds(Flood::kPings, kStart));
}

TEST(FloodGuard, AllowsWhatItGaveReasonFor) {
  FloodGuard guard;
  for (std::uint32_t i = 0; i < 10 * LimitOf(Flood::kWindowUpdates).burst; ++i) {
    guard.Allow(Flood::kWindowUpdates, 1);
    ASSERT_FALSE(guard.Exceeds(Flood::kWindowUpdates, kStart));
  }
}

TEST(FloodGuard, AnHourOfQuietIsNoReserve) {
  FloodGuard guard;
  EXPECT_FALSE(guard.Exceeds(Flood::kErrors, kStart));
  const Time later = kStart + std::chrono::hours(1);
  for (std::uint32_t i = 0; i < LimitOf(Flood::kErrors).burst; ++i)
    ASSERT_FALSE(guard.Exceeds(Flood::kErrors, later));
  EXPECT_TRUE(guard.Exceeds(Flood::kErrors, later));
}

}  // namespace
}  // namespace onebox::http2
