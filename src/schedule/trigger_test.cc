#include "schedule/trigger.h"

#include <array>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/testing.h"

namespace onebox::schedule {
namespace {

using testing::HasSubstr;
constexpr auto kEvery = TriggerKind::kEvery;
constexpr auto kCron = TriggerKind::kCron;
constexpr auto kAt = TriggerKind::kAt;

// What the clock of its place shows at the firings after an instant, up to another.
std::vector<std::string> FiringsOf(const Trigger& trigger, WallTime after, WallTime through) {
  std::vector<std::string> shown;
  for (auto next = NextAfter(trigger, after); next && *next <= through;
       next = NextAfter(trigger, *next))
    shown.push_back(Shown(trigger.zone(), *next));
  EXPECT_EQ(CountFirings(trigger, after, through), shown.size());
  return shown;
}

struct Firings {
  const char* why;
  TriggerKind kind;
  const char *text, *zone, *after, *through;  // in UTC
  std::vector<std::string> shown;             // by the clock of the place
};

void ExpectFirings(const std::vector<Firings>& cases) {
  for (const Firings& c : cases) {
    SCOPED_TRACE(std::string(c.why) + ": " + c.text + " " + c.zone);
    EXPECT_EQ(FiringsOf(Read(c.kind, c.text, c.zone), Utc(c.after), Utc(c.through)), c.shown);
  }
}

TEST(NextAfter, IsKeptToTheClockOfThePlace) {
  ExpectFirings({
      {"minutes at multiples of them",
       kEvery,
       "5 minutes",
       "UTC",
       "2026-06-01 10:03:20",
       "2026-06-01 10:15",
       {"2026-06-01 10:05:00 +0000", "2026-06-01 10:10:00 +0000", "2026-06-01 10:15:00 +0000"}},
      {"since the place's midnight, not UTC's",
       kEvery,
       "1 hour",
       "Asia/Kathmandu",
       "2026-06-01 10:00",
       "2026-06-01 12:00",
       {"2026-06-01 16:00:00 +0545", "2026-06-01 17:00:00 +0545"}},
      {"seconds that divide the day",
       kEvery,
       "90 s",
       "UTC",
       "2026-06-01 00:00",
       "2026-06-01 00:04:30",
       {"2026-06-01 00:01:30 +0000", "2026-06-01 00:03:00 +0000", "2026-06-01 00:04:30 +0000"}},
      {"a day at the place's midnight",
       kEvery,
       "1 day",
       "Europe/Berlin",
       "2026-06-01 00:00",
       "2026-06-03 00:00",
       {"2026-06-02 00:00:00 +0200", "2026-06-03 00:00:00 +0200"}},
      {"a week on Monday",
       kEvery,
       "1 week",
       "Europe/Berlin",
       "2026-06-03 00:00",
       "2026-06-16 00:00",
       {"2026-06-08 00:00:00 +0200", "2026-06-15 00:00:00 +0200"}},
      {"days that divide no week go on through all months",
       kEvery,
       "10 days",
       "UTC",
       "2026-02-01 00:00",
       "2026-03-01 00:00",
       {"2026-02-10 00:00:00 +0000", "2026-02-20 00:00:00 +0000"}},
      {"what divides no day keeps its distance, whatever the clock shows",
       kEvery,
       "7 hours",
       "Europe/Berlin",
       "2026-03-28 17:00",
       "2026-03-29 08:00",
       {"2026-03-28 21:00:00 +0100", "2026-03-29 05:00:00 +0200"}},
      {"before 1970 as well",
       kEvery,
       "7 hours",
       "UTC",
       "1970-01-04 10:00",
       "1970-01-05 07:00",
       {"1970-01-04 17:00:00 +0000", "1970-01-05 00:00:00 +0000", "1970-01-05 07:00:00 +0000"}},
      {"hours that cron names",
       kCron,
       "30 9,17 * * mon-fri",
       "America/New_York",
       "2026-06-05 13:30",
       "2026-06-08 13:30",
       {"2026-06-05 17:30:00 -0400", "2026-06-08 09:30:00 -0400"}},
      {"times of day with seconds, in order, each once",
       kAt,
       "21:00:30, 9:00 21:00:30",
       "Asia/Kathmandu",
       "2026-06-01 00:00",
       "2026-06-01 23:59",
       {"2026-06-01 09:00:00 +0545", "2026-06-01 21:00:30 +0545"}},
      {"weekdays past the end of the week",
       kAt,
       "sat-mon 12:00",
       "UTC",
       "2026-06-04 00:00",
       "2026-06-10 00:00",
       {"2026-06-06 12:00:00 +0000", "2026-06-07 12:00:00 +0000", "2026-06-08 12:00:00 +0000"}},
      {"one date and time, once",
       kAt,
       "2026-12-31 23:59",
       "America/New_York",
       "2026-01-01 00:00",
       "2030-01-01 00:00",
       {"2026-12-31 23:59:00 -0500"}},
      {"never again", kAt, "2026-12-31 23:59", "UTC", "2026-12-31 23:59", "2030-01-01 00:00", {}},
  });
}

TEST(NextAfter, MeansADayOfTheMonthOrAWeekdayWhereBothAreNamed) {
  ExpectFirings({
      {"either, as crontab(5) says",
       kCron,
       "0 0 13 * FRI",
       "UTC",
       "2026-02-01 00:00",
       "2026-02-28 00:00",
       {"2026-02-06 00:00:00 +0000",
        "2026-02-13 00:00:00 +0000",
        "2026-02-20 00:00:00 +0000",
        "2026-02-27 00:00:00 +0000"}},
      {"both where one begins with a star, as Vixie's cron has it",
       kCron,
       "0 0 */12 * FRI",
       "UTC",
       "2026-01-01 00:00",
       "2026-03-31 00:00",
       {"2026-02-13 00:00:00 +0000", "2026-03-13 00:00:00 +0000"}},
      {"the last day of a month is not the 31st of the next",
       kCron,
       "0 0 31 * *",
       "UTC",
       "2026-03-31 00:00",
       "2026-08-01 00:00",
       {"2026-05-31 00:00:00 +0000", "2026-07-31 00:00:00 +0000"}},
      {"the next leap day but one over 2100, which is none",
       kCron,
       "0 0 29 2 *",
       "UTC",
       "2092-03-01 00:00",
       "2108-03-01 00:00",
       {"2096-02-29 00:00:00 +0000", "2104-02-29 00:00:00 +0000", "2108-02-29 00:00:00 +0000"}},
      {"a leap day on a Sunday, forty years later",
       kCron,
       "0 0 29 2 */7",
       "UTC",
       "2060-03-01 00:00",
       "2128-03-01 00:00",
       {"2088-02-29 00:00:00 +0000", "2128-02-29 00:00:00 +0000"}},
  });
}

TEST(NextAfter, MakesUpOnceForAWallTimeThatIsSkipped) {
  ExpectFirings({
      {"at the first instant after the change",
       kCron,
       "30 2 * * *",
       "Europe/Berlin",
       "2026-03-27 12:00",
       "2026-03-30 12:00",
       {"2026-03-28 02:30:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"}},
      {"as a time of day",
       kAt,
       "2:30",
       "America/New_York",
       "2026-03-08 00:00",
       "2026-03-09 12:00",
       {"2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400"}},
      {"as the only one",
       kAt,
       "2026-03-29 02:30",
       "Europe/Berlin",
       "2026-03-01 00:00",
       "2026-04-01 00:00",
       {"2026-03-29 03:00:00 +0200"}},
      {"all that one change skips are one firing",
       kAt,
       "2:00, 2:15, 2:59:59",
       "Europe/Berlin",
       "2026-03-28 12:00",
       "2026-03-29 12:00",
       {"2026-03-29 03:00:00 +0200"}},
      {"what is due right after the change is the same firing",
       kCron,
       "*/30 1-3 * * *",
       "Europe/Berlin",
       "2026-03-28 12:00",
       "2026-03-29 12:00",
       {"2026-03-29 01:00:00 +0100",
        "2026-03-29 01:30:00 +0100",
        "2026-03-29 03:00:00 +0200",
        "2026-03-29 03:30:00 +0200"}},
      {"hours apart are times of day",
       kEvery,
       "2 hours",
       "Europe/Berlin",
       "2026-03-28 22:00",
       "2026-03-29 03:00",
       {"2026-03-29 00:00:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 04:00:00 +0200"}},
      {"and so for cron, where Vixie's code leaves 2:00 out",
       kCron,
       "0 */2 * * *",
       "Europe/Berlin",
       "2026-03-28 22:00",
       "2026-03-29 03:00",
       {"2026-03-29 00:00:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 04:00:00 +0200"}},
      {"by half an hour",
       kCron,
       "15 2 * * *",
       "Australia/Lord_Howe",
       "2026-10-02 20:00",
       "2026-10-05 00:00",
       {"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
      {"a midnight that is skipped",
       kEvery,
       "1 day",
       "America/Sao_Paulo",
       "2018-11-03 00:00",
       "2018-11-05 12:00",
       {"2018-11-03 00:00:00 -0300", "2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200"}},
      {"a whole day that is skipped",
       kAt,
       "12:00",
       "Pacific/Apia",
       "2011-12-29 00:00",
       "2011-12-31 21:00",
       {"2011-12-29 12:00:00 -1000", "2011-12-31 00:00:00 +1400", "2011-12-31 12:00:00 +1400"}},
      {"whose midnight is the next day's",
       kEvery,
       "1 day",
       "Pacific/Apia",
       "2011-12-29 00:00",
       "2011-12-31 22:00",
       {"2011-12-29 00:00:00 -1000", "2011-12-31 00:00:00 +1400", "2012-01-01 00:00:00 +1400"}},
      {"and the only day of the week",
       kAt,
       "fri 8:00, 18:00",
       "Pacific/Apia",
       "2011-12-24 12:00",
       "2012-01-06 00:00",
       {"2011-12-31 00:00:00 +1400", "2012-01-06 08:00:00 +1400"}},
      {"nothing is made up for where nothing is skipped",
       kCron,
       "30 2 * * *",
       "Asia/Kathmandu",
       "2026-03-28 00:00",
       "2026-03-29 12:00",
       {"2026-03-29 02:30:00 +0545"}},
  });
}

TEST(NextAfter, TakesTheFirstOfAWallTimeThatComesTwice) {
  ExpectFirings({
      {"as a time of cron",
       kCron,
       "30 2 * * *",
       "Europe/Berlin",
       "2026-10-24 12:00",
       "2026-10-26 12:00",
       {"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"}},
      {"as a time of day",
       kAt,
       "1:00, 1:59:59, 2:00",
       "America/New_York",
       "2026-11-01 00:00",
       "2026-11-01 12:00",
       {"2026-11-01 01:00:00 -0400", "2026-11-01 01:59:59 -0400", "2026-11-01 02:00:00 -0500"}},
      {"as the only one",
       kAt,
       "2026-10-25 02:30",
       "Europe/Berlin",
       "2026-10-01 00:00",
       "2026-11-01 00:00",
       {"2026-10-25 02:30:00 +0200"}},
      {"also when asked between the two",
       kCron,
       "30 2 * * *",
       "Europe/Berlin",
       "2026-10-25 00:45",
       "2026-10-25 12:00",
       {}},
      {"minutes of named hours, without a star",
       kCron,
       "0,30 1-3 * * *",
       "Europe/Berlin",
       "2026-10-24 12:00",
       "2026-10-25 12:00",
       {"2026-10-25 01:00:00 +0200",
        "2026-10-25 01:30:00 +0200",
        "2026-10-25 02:00:00 +0200",
        "2026-10-25 02:30:00 +0200",
        "2026-10-25 03:00:00 +0100",
        "2026-10-25 03:30:00 +0100"}},
      {"by half an hour",
       kAt,
       "1:30, 1:59",
       "Australia/Lord_Howe",
       "2026-04-04 12:00",
       "2026-04-05 12:00",
       {"2026-04-05 01:30:00 +1100", "2026-04-05 01:59:00 +1100"}},
      {"midnight, when the day before comes to 23:00 again",
       kEvery,
       "1 day",
       "America/Sao_Paulo",
       "2019-02-16 12:00",
       "2019-02-18 12:00",
       {"2019-02-17 00:00:00 -0300", "2019-02-18 00:00:00 -0300"}},
      {"the last hour of that day",
       kAt,
       "23:30",
       "America/Sao_Paulo",
       "2019-02-16 12:00",
       "2019-02-18 12:00",
       {"2019-02-16 23:30:00 -0200", "2019-02-17 23:30:00 -0300"}},
  });
}

TEST(NextAfter, GoesOnWithTheClockWhereATriggerRunsThroughTheHour) {
  const auto expect_each = [](const char* why,
                              TriggerKind kind,
                              const char* text,
                              const char* zone,
                              const char* from,
                              std::chrono::minutes apart) {
    SCOPED_TRACE(std::string(why) + ": " + text + " " + zone);
    const Trigger trigger = Read(kind, text, zone);
    for (WallTime at = Utc(from), end = at + std::chrono::hours(48); at < end; at += apart)
      ASSERT_EQ(NextAfter(trigger, at), at + apart) << Shown(trigger.zone(), at);
    EXPECT_EQ(CountFirings(trigger, Utc(from), Utc(from) + 100 * apart), 100);
  };
  using std::chrono::minutes;
  for (const char* day : {"2026-03-28 12:00", "2026-10-24 12:00"}) {
    expect_each("in spring and autumn", kCron, "*/15 * * * *", "Europe/Berlin", day, minutes(15));
    expect_each("an hour", kCron, "@hourly", "Europe/Berlin", day, minutes(60));
    expect_each(
        "an hour, without a star", kCron, "0 0-23 * * *", "Europe/Berlin", day, minutes(60));
    expect_each("an interval", kEvery, "15 minutes", "Europe/Berlin", day, minutes(15));
    expect_each("an hour's", kEvery, "1 hour", "Europe/Berlin", day, minutes(60));
  }
  for (const char* day : {"2026-04-04 03:00", "2026-10-03 03:00"})
    expect_each("by half an hour", kEvery, "10 minutes", "Australia/Lord_Howe", day, minutes(10));
  for (const char* day : {"2011-12-29 12:00", "2012-04-01 12:00"})
    expect_each("over a skipped day", kCron, "*/5 * * * *", "Pacific/Apia", day, minutes(5));
  expect_each(
      "at midnight", kEvery, "30 min", "America/Sao_Paulo", "2018-11-03 12:00", minutes(30));
  expect_each(
      "with odd offsets", kEvery, "5 min", "Asia/Kathmandu", "2026-03-28 12:00", minutes(5));
}

TEST(NextAfter, ShowsWhereAChangeIsNoMultipleOfTheInterval) {
  ExpectFirings({
      {"an hour's distance is a half longer",
       kCron,
       "0 * * * *",
       "Australia/Lord_Howe",
       "2026-04-04 13:30",
       "2026-04-04 17:00",
       {"2026-04-05 01:00:00 +1100", "2026-04-05 02:00:00 +1030", "2026-04-05 03:00:00 +1030"}},
      {"in spring as well: 2:00 is skipped, and not made up for",
       kCron,
       "0 * * * *",
       "Australia/Lord_Howe",
       "2026-10-03 14:00",
       "2026-10-03 16:30",
       {"2026-10-04 01:00:00 +1030", "2026-10-04 03:00:00 +1100"}},
      {"both times count for minutes with a star in named hours",
       kCron,
       "*/30 2 * * *",
       "Europe/Berlin",
       "2026-10-24 12:00",
       "2026-10-25 12:00",
       {"2026-10-25 02:00:00 +0200",
        "2026-10-25 02:30:00 +0200",
        "2026-10-25 02:00:00 +0100",
        "2026-10-25 02:30:00 +0100"}},
      {"and if all of that hour is skipped it is made up for",
       kCron,
       "*/30 2 * * *",
       "Europe/Berlin",
       "2026-03-28 12:00",
       "2026-03-29 12:00",
       {"2026-03-29 03:00:00 +0200"}},
  });
}

TEST(NextAfter, OfAnIntervalIsThatOfTheCronExpressionThatSaysTheSame) {
  struct Pair {
    const char *interval, *cron;
  };
  constexpr std::array kPairs = {Pair{"5 minutes", "*/5 * * * *"},
                                 Pair{"1 hour", "@hourly"},
                                 Pair{"2 hours", "0 */2 * * *"},
                                 Pair{"12 hours", "0 0,12 * * *"},
                                 Pair{"1 day", "@daily"},
                                 Pair{"1 week", "0 0 * * mon"}};
  constexpr std::array kChanges = {"2011-12-27 00:00",  // of one of the places each
                                   "2018-11-01 00:00",
                                   "2019-02-14 00:00",
                                   "2026-03-26 00:00",
                                   "2026-04-02 00:00",
                                   "2026-10-01 00:00",
                                   "2026-10-22 00:00"};
  for (const char* zone :
       {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"}) {
    for (const Pair& pair : kPairs) {
      for (const char* from : kChanges) {
        SCOPED_TRACE(std::string(pair.interval) + " " + zone + " " + from);
        const WallTime through = Utc(from) + std::chrono::hours(24 * 8);
        const auto of_cron = FiringsOf(Read(kCron, pair.cron, zone), Utc(from), through);
        EXPECT_EQ(FiringsOf(Read(kEvery, pair.interval, zone), Utc(from), through), of_cron);
        EXPECT_FALSE(of_cron.empty());
      }
    }
  }
}

TEST(NextAfter, EndsWhereTimeEnds) {
  const Trigger daily = Read(kEvery, "1 day");
  EXPECT_EQ(NextAfter(daily, WallTime::max()), std::nullopt);
  EXPECT_EQ(NextAfter(Read(kEvery, "7 hours"), WallTime::max()), std::nullopt);
  EXPECT_EQ(NextAfter(Read(kCron, "0 0 29 2 *", "Europe/Berlin"), Utc("2261-01-01 00:00")),
            std::nullopt);
  EXPECT_GT(NextAfter(daily, WallTime::min()), WallTime::min());
  EXPECT_GT(CountFirings(daily, WallTime::min(), WallTime::max()), 365U * 500);
}

TEST(Trigger, HasALimitedText) {
  const std::string text(kTriggerTextMax + 1, ' ');
  EXPECT_THAT(Trigger::Parse(kCron, text, "UTC").error().message, HasSubstr("1024 characters"));
}

}  // namespace
}  // namespace onebox::schedule
