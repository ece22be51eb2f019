#include "schedule/firings.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "schedule/testing.h"

namespace onebox::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNine = Utc("2026-06-01 09:00");

TEST(JitterOf, IsTheSameEachTimeAndOnEachBox) {
  const Trigger hourly = Read(TriggerKind::kEvery, "1 hour");
  EXPECT_EQ(JitterOf(hourly, "report", kNine, minutes(10)).count(), 577'631'496'469);
  EXPECT_EQ(JitterOf(hourly, "report", kNine + hours(1), minutes(10)).count(), 531'476'805'540);
  EXPECT_EQ(JitterOf(hourly, "mail", kNine, minutes(10)).count(), 224'224'003'907);
}

TEST(JitterOf, SpreadsJobsAndFiringsOverAllOfIt) {
  const Trigger hourly = Read(TriggerKind::kEvery, "1 hour");
  std::set<std::int64_t> tenths_of_jobs, tenths_of_firings;
  for (int i = 0; i < 200; ++i) {
    const Duration of_job = JitterOf(hourly, "job" + std::to_string(i), kNine, minutes(10));
    const Duration of_firing = JitterOf(hourly, "job", kNine + hours(i), minutes(10));
    tenths_of_jobs.insert(of_job / minutes(1));
    tenths_of_firings.insert(of_firing / minutes(1));
  }
  const std::set<std::int64_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(tenths_of_jobs, all);
  EXPECT_EQ(tenths_of_firings, all);
}

TEST(JitterOf, NeverReachesTheNextFiring) {
  const Trigger trigger = Read(TriggerKind::kAt, "9:00, 9:00:02, 21:00");
  for (int i = 0; i < 100; ++i) {
    const std::string job = "job" + std::to_string(i);
    EXPECT_LT(JitterOf(trigger, job, kNine, hours(1)), seconds(2));
    EXPECT_LT(JitterOf(trigger, job, kNine + seconds(2), hours(24)), hours(12));
  }
}

TEST(JitterOf, IsNoneWhereNoneIsWanted) {
  const Trigger once = Read(TriggerKind::kAt, "2026-06-01 09:00");
  EXPECT_EQ(JitterOf(once, "job", kNine, Duration(0)), Duration(0));
  EXPECT_EQ(JitterOf(once, "job", kNine, Duration(-5)), Duration(0));
  EXPECT_LT(JitterOf(once, "job", kNine, hours(1)), hours(1)) << "with no firing after it";
}

struct DueCase {
  const char* why;
  CatchUpRule rule;
  const char *handled, *now;
  std::vector<const char*> due;
  std::uint64_t missed;
  const char *missed_first, *missed_last;
};

// "" is none.
std::optional<WallTime> Maybe(const char* text) {
  return *text == '\0' ? std::nullopt : std::optional(Utc(text));
}

TEST(FindDue, RunsOrReportsEachFiringSinceTheLastHandled) {
  constexpr CatchUpRule kOne{.which = CatchUp::kOne};
  constexpr CatchUpRule kNone{.which = CatchUp::kNone, .late = seconds(60)};
  constexpr CatchUpRule kAll{.which = CatchUp::kAll, .all_max = 3};
  const std::vector<DueCase> cases = {
      {"none is due yet", kOne, "2026-06-01 09:00", "2026-06-01 09:59:59", {}, 0, "", ""},
      {"on time", kOne, "2026-06-01 09:00", "2026-06-01 10:00", {"2026-06-01 10:00"}, 0, "", ""},
      {"on time for none",
       kNone,
       "2026-06-01 09:00",
       "2026-06-01 10:00:59",
       {"2026-06-01 10:00"},
       0,
       "",
       ""},
      {"late for none",
       kNone,
       "2026-06-01 09:00",
       "2026-06-01 10:01:00",
       {},
       1,
       "2026-06-01 10:00",
       "2026-06-01 10:00"},
      {"late for one",
       kOne,
       "2026-06-01 09:00",
       "2026-06-01 10:59",
       {"2026-06-01 10:00"},
       0,
       "",
       ""},
      {"one of many",
       kOne,
       "2026-06-01 09:30",
       "2026-06-02 09:30",
       {"2026-06-02 09:00"},
       23,
       "2026-06-01 10:00",
       "2026-06-02 08:00"},
      {"none of many",
       kNone,
       "2026-06-01 09:30",
       "2026-06-02 09:30",
       {},
       24,
       "2026-06-01 10:00",
       "2026-06-02 09:00"},
      {"the newest of many on time for none",
       kNone,
       "2026-06-01 09:30",
       "2026-06-02 09:00",
       {"2026-06-02 09:00"},
       23,
       "2026-06-01 10:00",
       "2026-06-02 08:00"},
      {"all",
       kAll,
       "2026-06-01 09:00",
       "2026-06-01 12:30",
       {"2026-06-01 10:00", "2026-06-01 11:00", "2026-06-01 12:00"},
       0,
       "",
       ""},
      {"all up to the limit: the newest",
       kAll,
       "2026-06-01 09:00",
       "2026-06-01 14:30",
       {"2026-06-01 12:00", "2026-06-01 13:00", "2026-06-01 14:00"},
       2,
       "2026-06-01 10:00",
       "2026-06-01 11:00"},
      {"a limit of none",
       {.which = CatchUp::kAll, .all_max = 0},
       "2026-06-01 09:00",
       "2026-06-01 10:30",
       {},
       1,
       "2026-06-01 10:00",
       "2026-06-01 10:00"},
      {"a clock that was put back", kAll, "2026-06-01 09:00", "2026-06-01 07:00", {}, 0, "", ""},
      {"twenty years",
       kOne,
       "2006-06-01 09:00",
       "2026-06-01 09:00",
       {"2026-06-01 09:00"},
       175319,
       "2006-06-01 10:00",
       "2026-06-01 08:00"},
  };
  const Trigger hourly = Read(TriggerKind::kCron, "@hourly");
  for (const DueCase& c : cases) {
    SCOPED_TRACE(c.why);
    const Due due = FindDue(hourly, Utc(c.handled), Utc(c.now), c.rule);
    std::vector<WallTime> expected;
    for (const char* text : c.due)
      expected.push_back(Utc(text));
    EXPECT_EQ(due.firings, expected);
    EXPECT_EQ(due.missed, c.missed);
    EXPECT_EQ(due.missed_first, Maybe(c.missed_first));
    EXPECT_EQ(due.missed_last, Maybe(c.missed_last));
    EXPECT_EQ(due.handled, expected.empty() ? Maybe(c.missed_last) : expected.back());
  }
}

TEST(FindDue, FindsTheOnlyFiringThatWasMissed) {
  const Trigger once = Read(TriggerKind::kAt, "2026-06-01 09:00");
  const Due due = FindDue(once, kNine - hours(900), kNine + hours(900), {});
  EXPECT_EQ(due.firings, std::vector{kNine});
  EXPECT_EQ(FindDue(once, kNine, kNine + hours(900), {}).handled, std::nullopt);
}

TEST(FindDue, TakesAsManyStepsForYearsAsForAnHour) {
  const Trigger each_second = Read(TriggerKind::kEvery, "1 second", "Europe/Berlin");
  const Due due = FindDue(each_second, Utc("1970-01-01 00:00"), kNine, {.which = CatchUp::kAll});
  EXPECT_EQ(due.firings.size(), 100U);
  EXPECT_EQ(due.missed + 100, static_cast<std::uint64_t>(kNine.time_since_epoch() / seconds(1)));
}

}  // namespace
}  // namespace onebox::schedule
