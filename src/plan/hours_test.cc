#include "plan/hours.h"

#include <gtest/gtest.h>

namespace onebox::plan {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// 2026-03-28 00:00 UTC, the day before Berlin's clocks are put forward.
const WallTime kSaturday{std::chrono::seconds(1'774'656'000)};

bool Cover(std::string_view text, Duration after) {
  return Hours::Parse(text).value().Cover(kSaturday + after);
}

TEST(Hours, CoverFromTheFirstMinuteOnAndNotTheLast) {
  EXPECT_FALSE(Cover("20:30-23:00 UTC", hours(20) + minutes(29)));
  EXPECT_TRUE(Cover("20:30-23:00 UTC", hours(20) + minutes(30)));
  EXPECT_TRUE(Cover("20:30-23:00 UTC", hours(22) + minutes(59)));
  EXPECT_FALSE(Cover("20:30-23:00 UTC", hours(23)));
}

TEST(Hours, PassMidnight) {
  EXPECT_TRUE(Cover("22:00-2:00 UTC", hours(23)));
  EXPECT_TRUE(Cover("22:00-2:00 UTC", hours(25)));
  EXPECT_FALSE(Cover("22:00-2:00 UTC", hours(26)));
  EXPECT_FALSE(Cover("22:00-2:00 UTC", hours(12)));
}

TEST(Hours, FollowTheClockOfTheirPlaceThroughTheYear) {
  EXPECT_FALSE(Cover("20:30-23:00 Europe/Berlin", hours(18) + minutes(30))) << "UTC+1";
  EXPECT_TRUE(Cover("20:30-23:00 Europe/Berlin", hours(19) + minutes(30)));
  EXPECT_TRUE(Cover("20:30-23:00 Europe/Berlin", hours(24 + 18) + minutes(30))) << "UTC+2";
  EXPECT_FALSE(Cover("20:30-23:00 Europe/Berlin", hours(24 + 21)));
}

TEST(Hours, AreComingBeforeTheyBegin) {
  const auto coming = [](std::chrono::seconds of_day) {
    return Hours::Parse("20:30-20:31 UTC")->CoverWithin(WallTime(of_day), minutes(2));
  };
  EXPECT_FALSE(coming(hours(20) + minutes(27) + std::chrono::seconds(59)));
  EXPECT_TRUE(coming(hours(20) + minutes(28)));
  EXPECT_TRUE(coming(hours(20) + minutes(29) + std::chrono::seconds(30)));
  EXPECT_TRUE(coming(hours(20) + minutes(30)));
  EXPECT_FALSE(coming(hours(20) + minutes(31)));
}

TEST(Hours, AreNoneWhereTheTextIsNone) {
  for (const char* text : {"",
                           "20:30",
                           "20:30-",
                           "20:30-24:00",
                           "20:60-23:00",
                           "20:3-23:00",
                           "2030-2300",
                           "20:30-20:30",
                           "20:30-23:00 ",
                           "20:30-23:00 Atlantis/Port",
                           "20:30-23:00 ../../etc/passwd",
                           "20:30 - 23:00"}) {
    EXPECT_FALSE(Hours::Parse(text)) << text;
  }
  EXPECT_TRUE(Hours::Parse("20:30-23:00")) << "this machine's";
}

}  // namespace
}  // namespace onebox::plan
