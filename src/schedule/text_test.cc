#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/testing.h"
#include "schedule/trigger.h"

namespace onebox::schedule {
namespace {

using testing::HasSubstr;
constexpr auto kEvery = TriggerKind::kEvery;
constexpr auto kCron = TriggerKind::kCron;
constexpr auto kAt = TriggerKind::kAt;

TEST(TriggerText, IsReadAsPeopleWriteIt) {
  struct Case {
    TriggerKind kind;
    const char *text, *plain;
  };
  const Case cases[] = {
      {kEvery, "5 minutes", "5 minutes"},
      {kEvery, "90 s", "90 seconds"},
      {kEvery, "1 hour", "1 hour"},
      {kEvery, "hour", "1 hour"},
      {kEvery, "1 Day", "1 day"},
      {kEvery, "2 weeks", "2 weeks"},
      {kEvery, "14d", "2 weeks"},
      {kEvery, "60min", "1 hour"},
      {kEvery, " 3 secs ", "3 seconds"},
      {kEvery, "36h", "36 hours"},
      {kEvery, "7 mins", "7 minutes"},
      {kCron, "*/15 * * * *", "*/15 * * * *"},
      {kCron, "0,15,30,45 * * * *", "*/15 * * * *"},
      {kCron, "  5\t4 * *  * ", "5 4 * * *"},
      {kCron, "@daily", "0 0 * * *"},
      {kCron, "@Midnight", "0 0 * * *"},
      {kCron, "@hourly", "0 * * * *"},
      {kCron, "@weekly", "0 0 * * 0"},
      {kCron, "@monthly", "0 0 1 * *"},
      {kCron, "@yearly", "0 0 1 1 *"},
      {kCron, "@annually", "0 0 1 1 *"},
      {kCron, "0 9-17/4 * JAN,mar-May Mon-fri", "0 9,13,17 * 1,3-5 1-5"},
      {kCron, "0 0 * * 7", "0 0 * * 0"},
      {kCron, "0 0 * * 0-7", "0 0 * * *"},
      {kCron, "0 0 * * 7-2", "0 0 * * 0-2"},
      {kCron, "0 0 * * sat-mon", "0 0 * * 0-1,6"},
      {kCron, "0 0 * * friday-SUN", "0 0 * * 0,5-6"},
      {kCron, "0 0 * february sun-sun", "0 0 * 2 0"},
      {kCron, "*/60 */24 */31 */12 */7", "*/60 0 */31 1 0"},
      {kCron, "0-59 0-23 1-31 1-12 0-6", "* * 1-31 * 0-6"},
      {kCron, "0 0 1-31 * *", "0 0 * * *"},
      {kCron, "*/20,5 2 * * *", "*/20,5 2 * * *"},
      {kCron, "0,20,40 2 * * *", "0,20,40 2 * * *"},
      {kCron, "0 0 2 * */2", "0 0 2 * */2"},
      {kCron, "0 0 */10 * 1", "0 0 */10 * 1"},
      {kCron, "1,1,2-4,3-6 0 1 1 0", "1-6 0 1 1 0"},
      {kAt, "21:00", "21:00"},
      {kAt, "9:05", "09:05"},
      {kAt, "21:00:30, 9:00,21:00:30", "09:00, 21:00:30"},
      {kAt, "mon-fri 21:00", "mon-fri 21:00"},
      {kAt, "Monday, wed friday 8:00 20:00", "mon,wed,fri 08:00, 20:00"},
      {kAt, "sat-mon 0:00", "sun-mon,sat 00:00"},
      {kAt, "mon-sun 12:00", "12:00"},
      {kAt, "2026-12-31 23:59", "2026-12-31 23:59"},
      {kAt, "2026-12-31T23:59:01", "2026-12-31 23:59:01"},
      {kAt, "2028-02-29 0:00", "2028-02-29 00:00"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const Trigger trigger = Read(c.kind, c.text);
    EXPECT_EQ(trigger.kind(), c.kind);
    EXPECT_EQ(trigger.Text(), c.plain);
    EXPECT_EQ(Read(c.kind, trigger.Text()), trigger);
  }
}

TEST(TriggerText, IsRefusedWithWhatWasExpectedAndWhere) {
  struct Case {
    TriggerKind kind;
    const char *text, *message;
  };
  const Case cases[] = {
      {kEvery, "", "every \"\": expected a number and a unit, like \"5 minutes\""},
      {kEvery, "5", "every \"5\": expected a number and a unit"},
      {kEvery, "5 minuets", "\"minuets\" is no unit"},
      {kEvery, "5 minuets", "did you mean \"minutes\"?"},
      {kEvery, "HOURRS", "did you mean \"hours\"?"},
      {kEvery, "0 s", "expected from 1 second to 3660 days"},
      {kEvery, "-5 s", "is no unit: expected a whole number of seconds"},
      {kEvery, "1.5 hours", "expected a whole number: take a smaller unit"},
      {kEvery, "500 ms", "\"ms\" is no unit"},
      {kEvery, "3661 days", "expected from 1 second to 3660 days"},
      {kEvery, "99999999999999999999 s", "expected from 1 second to 3660 days"},
      {kEvery, "5 minutes 3", "\"minutes 3\" is no unit"},
      {kCron, "", "expected 5 fields (minute, hour, day of month, month, weekday), not 0"},
      {kCron, "* * * *", "not 4"},
      {kCron,
       "0 0 0 * * *",
       "not 6; a field of seconds is written first by some and last by others"},
      {kCron, "60 * * * *", "minute \"60\" at column 1: expected 0 to 59, or *"},
      {kCron, "* 24 * * *", "hour \"24\" at column 3: expected 0 to 23, or *"},
      {kCron, "* * 0 * *", "day of month \"0\" at column 5: expected 1 to 31, or *"},
      {kCron, "* * * 13 *", "month \"13\" at column 7: expected 1 to 12 or JAN to DEC, or *"},
      {kCron, "* * * * 8", "weekday \"8\" at column 9: expected 0 to 7 or SUN to SAT, or *"},
      {kCron, "* * * * MOM", "did you mean \"mon\"?"},
      {kCron, "* * * Febuary *", "did you mean \"february\"?"},
      {kCron, "* * * * 1,,2", "weekday \"\" at column 11"},
      {kCron, "5- * * * *", "minute \"\" at column 3"},
      {kCron, "-5 * * * *", "minute \"\" at column 1"},
      {kCron, "* 22-2 * * *", "the range ends before it begins: write 22-23,0-2"},
      {kCron, "5/15 * * * *", "a step needs a range: write 5-59 before it"},
      {kCron, "*/0 * * * *", "expected a step from 1 to 60"},
      {kCron, "*/90 * * * *", "longer ones are intervals: every = \"90 minutes\""},
      {kCron, "*/ * * * *", "minute \"\" at column 3: expected a step"},
      {kCron, "0 0 ? * *", "(?, L, W and # are not cron's)"},
      {kCron, "0 0 L * *", "(?, L, W and # are not cron's)"},
      {kCron, "0 0 * * 5#2", "weekday \"5#2\" at column 9: expected 0 to 7"},
      {kCron, "*5 * * * *", "minute \"*5\" at column 1"},
      {kCron, "0 0 30 2 *", "it never fires, because no such day comes"},
      {kCron, "0 0 31 2,4,6,9,11 *", "it never fires"},
      {kCron, "@dialy", "did you mean \"@daily\"?"},
      {kCron, "@reboot", "a start of the box is no time of the clock"},
      {kCron, "@every 5m", "not 2"},
      {kAt, "", "expected a time, like \"21:00\""},
      {kAt, " , ", "expected a time, like \"21:00\""},
      {kAt, "24:00", "\"24:00\" at column 1: expected a time from 00:00 to 23:59:59"},
      {kAt, "9:00, 21:60", "\"21:60\" at column 7"},
      {kAt, "21:0", "\"21:0\" at column 1"},
      {kAt, "21:00:5", "expected a time"},
      {kAt, "9pm", "\"9pm\" at column 1: expected a time"},
      {kAt, "mon", "expected a time, like \"mon-fri 21:00\""},
      {kAt, "mon-fry 21:00", "\"fry\" at column 5: expected a weekday"},
      {kAt, "tuseday 21:00", "did you mean \"tuesday\"?"},
      {kAt, "mon 9:00 tue 10:00", "\"tue\" at column 10: expected another time: weekdays stand"},
      {kAt, "2026-02-30 12:00", "\"2026-02-30\" at column 1: expected a date"},
      {kAt, "2026-1-1 12:00", "expected a date"},
      {kAt, "2026-12-31", "expected one date and one time"},
      {kAt, "2026-12-31 12:00, 13:00", "expected one date and one time"},
      {kAt, "2026-12-31T", "expected a time"},
      {kAt, "2038-01-01 00:00", "expected a year from 1970 to 2037"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const auto trigger = Trigger::Parse(c.kind, c.text, "UTC");
    ASSERT_FALSE(trigger.ok());
    EXPECT_THAT(trigger.error().message, HasSubstr(c.message));
    EXPECT_EQ(trigger.error().blame, Blame::kOperator);
  }
}

TEST(TriggerText, NamesNoMoreTimesThanALimit) {
  std::string text;
  for (std::size_t i = 0; i <= 100; ++i)
    text += "9:00 ";
  EXPECT_THAT(Trigger::Parse(kAt, text, "UTC").error().message, HasSubstr("at most 100 times"));
}

TEST(TriggerText, SaysThatTwoOfOneMeaningAreTheSame) {
  EXPECT_EQ(Read(kEvery, "60 s"), Read(kEvery, "minute"));
  EXPECT_EQ(Read(kCron, "0 0 * * SUN"), Read(kCron, "@weekly"));
  EXPECT_NE(Read(kCron, "0 0 1-31 * 1"), Read(kCron, "0 0 * * 1")) << "a day is either there";
  EXPECT_NE(Read(kCron, "0 2 * * *"), Read(kAt, "2:00")) << "another kind";
  EXPECT_NE(Read(kAt, "2:00"), Read(kAt, "2:00", "Europe/Berlin")) << "another place";
}

}  // namespace
}  // namespace onebox::schedule
