#include "schedule/zone.h"

#include <algorithm>

#include <date/tz.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/testing.h"

namespace onebox::schedule {
namespace {

using testing::HasSubstr;

TEST(Zone, IsNamedAsTheDatabaseDoes) {
  EXPECT_TRUE(Zone::Find("").ok()) << "this machine's";
  EXPECT_EQ(Zone::Find("Europe/Berlin").value().name(), "Europe/Berlin");
  struct Case {
    const char *wrong, *message;
  };
  for (const Case& c : {Case{"Europe/Berln", "did you mean \"Europe/Berlin\"?"},
                        {"europe/berlin", "did you mean \"Europe/Berlin\"?"},
                        {"../../etc/passwd", "no time zone \"../../etc/passwd\": expected"},
                        {"right/UTC", "there is no time zone"},
                        {"a\nb", "\"a?b\""}}) {
    SCOPED_TRACE(c.wrong);
    EXPECT_THAT(Zone::Find(c.wrong).error().message, HasSubstr(c.message));
  }
}

TEST(Zone, KnowsWhatClocksHadReachedBeforeAChange) {
  const Zone berlin = Zone::Find("Europe/Berlin").value();
  const auto reached = [&berlin](const char* instant) {
    const Stretch stretch = berlin.At(std::chrono::floor<seconds>(Utc(instant)));
    return (berlin.ReachedBefore(stretch) - stretch.Shown(stretch.begin)).count();
  };
  EXPECT_EQ(reached("2026-06-01 00:00"), -3600) << "an hour was skipped";
  EXPECT_EQ(reached("2026-12-01 00:00"), 3600) << "an hour comes twice";
}

// What the search for the next firing is built on.
TEST(Zone, KeepsAnOffsetForLongerThanTwoOffsetsCanDiffer) {
  const auto begin = std::chrono::floor<seconds>(Utc("1800-01-01 00:00"));
  const auto end = std::chrono::floor<seconds>(Utc("2100-01-01 00:00"));
  for (const date::time_zone& place : date::get_tzdb().zones) {
    SCOPED_TRACE(place.name());
    const Zone zone = Zone::Find(place.name()).value();
    for (Stretch stretch = zone.At(begin); stretch.end < end; stretch = zone.At(stretch.end)) {
      ASSERT_LT(std::chrono::abs(stretch.offset), kOffsetMax);
      ASSERT_GT(stretch.end - stretch.begin, 2 * kOffsetMax);
    }
  }
}

}  // namespace
}  // namespace onebox::schedule
