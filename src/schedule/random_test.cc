#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "schedule/properties.h"
#include "schedule/testing.h"

namespace onebox::schedule {
namespace {

using std::chrono::minutes;

// Draws the same again from the same seed, which a failure prints.
class Random {
 public:
  explicit Random(std::uint64_t seed) : generator_(seed) {}
  int Below(int end) { return static_cast<int>(generator_() % static_cast<std::uint64_t>(end)); }
  int Between(int first, int last) { return first + Below(last - first + 1); }
  template <typename Container>
  const auto& Of(const Container& choices) {
    return choices[static_cast<std::size_t>(Below(static_cast<int>(choices.size())))];
  }

 private:
  std::mt19937_64 generator_;
};

// One field as text, beside what it means: told apart from the parser that is tested.
struct RandomField {
  std::string text;
  std::set<int> values;
  bool starred = false;
};

void AddItem(Random& random, RandomField& field, int first, int last) {
  int from = random.Between(first, last);
  int to = random.Between(from, last);
  int step = 1;
  std::string text;
  switch (random.Below(4)) {
    case 0:
      from = first;
      to = last;
      text = "*";
      break;
    case 1:
      text = fmt::format("{}-{}", from, to);
      break;
    default:
      to = from;
      text = fmt::format("{}", from);
  }
  if (to > from && random.Below(2) == 0) {
    step = random.Between(1, std::min(last - first, 20));
    text += fmt::format("/{}", step);
  }
  for (int value = from; value <= to; value += step)
    field.values.insert(value);
  field.starred = field.starred || (field.text.empty() && text[0] == '*');
  field.text += field.text.empty() ? text : "," + text;
}

RandomField DrawField(Random& random, int first, int last, int star_in) {
  RandomField field;
  if (random.Below(star_in) > 0) {
    field.text = "*";
    field.starred = true;
    for (int value = first; value <= last; ++value)
      field.values.insert(value);
    return field;
  }
  for (int items = random.Between(1, 3); items > 0; --items)
    AddItem(random, field, first, last);
  return field;
}

struct RandomCron {
  RandomField minute, hour, month_day, month, week_day;

  explicit RandomCron(Random& random)
      : minute(DrawField(random, 0, 59, 1 + random.Below(2))),
        hour(DrawField(random, 0, 23, 1 + random.Below(2))),
        month_day(DrawField(random, 1, 31, 3)),
        month(DrawField(random, 1, 12, 3)),
        week_day(DrawField(random, 0, 6, 3)) {}

  std::string Text() const {
    return fmt::format(
        "{} {} {} {} {}", minute.text, hour.text, month_day.text, month.text, week_day.text);
  }

  bool Means(std::chrono::local_seconds wall) const {
    const auto day = std::chrono::floor<std::chrono::days>(wall);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(wall - day);
    const bool right_month_day = month_day.values.count(int(unsigned(date.day()))) > 0;
    const bool right_week_day =
        week_day.values.count(int(std::chrono::weekday(day).c_encoding())) > 0;
    return time.seconds().count() == 0 && minute.values.count(int(time.minutes().count())) > 0 &&
           hour.values.count(int(time.hours().count())) > 0 &&
           month.values.count(int(unsigned(date.month()))) > 0 &&
           (month_day.starred || week_day.starred ? right_month_day && right_week_day
                                                  : right_month_day || right_week_day);
  }
};

// Minute by minute, remembering each wall time that was shown: the rules of trigger.h, spelt out.
std::vector<WallTime> SlowFirings(const RandomCron& cron,
                                  const std::string& zone,
                                  WallTime from,
                                  WallTime to) {
  const date::time_zone* const place = date::locate_zone(zone);
  const bool every_hour = cron.hour.values.size() == 24;
  const bool both_count = every_hour || cron.minute.starred;
  std::set<std::chrono::local_seconds> shown;
  std::vector<WallTime> firings;
  std::chrono::local_seconds last{};
  for (WallTime at = from - std::chrono::hours(40); at < to; at += minutes(1)) {
    const auto local = place->to_local(std::chrono::floor<std::chrono::seconds>(at));
    const std::chrono::local_seconds wall(local.time_since_epoch());
    bool fires = cron.Means(wall) && (both_count || shown.count(wall) == 0);
    if (!shown.empty() && !every_hour) {
      for (auto skipped = last + minutes(1); skipped < wall; skipped += minutes(1))
        fires = fires || (cron.Means(skipped) && shown.count(skipped) == 0);
    }
    if (fires && at >= from) firings.push_back(at);
    shown.insert(wall);
    last = wall;
  }
  return firings;
}

std::vector<WallTime> FastFirings(const Trigger& trigger, WallTime from, WallTime to) {
  std::vector<WallTime> firings;
  for (auto next = NextAfter(trigger, from - Duration(1)); next && *next < to;
       next = NextAfter(trigger, *next))
    firings.push_back(*next);
  return firings;
}

// Half of the times are days in which the clocks of the place are changed. Offsets are whole minutes
// since 1973 everywhere.
WallTime DrawDay(Random& random, const std::string& zone) {
  const std::chrono::hours first(24 * 365 * 4);
  const std::chrono::sys_seconds day(first + std::chrono::hours(24) * random.Below(365 * 63));
  if (random.Below(2) == 0) return WallTime(day);
  const auto change = date::locate_zone(zone)->get_info(day).end;
  if (change > day + std::chrono::hours(24 * 366 * 20)) return WallTime(day);
  return WallTime(std::chrono::floor<std::chrono::days>(change) - std::chrono::days(1));
}

TEST(RandomTriggers, OfCronFireAsASearchMinuteByMinuteSays) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  int firings = 0;
  for (int i = 0; i < 200; ++i) {
    const RandomCron cron(random);
    const std::string zone(random.Of(properties::kZones));
    const auto trigger = Trigger::Parse(TriggerKind::kCron, cron.Text(), zone);
    if (!trigger.ok()) continue;  // days that never come
    const WallTime from = DrawDay(random, zone);
    const WallTime to = from + std::chrono::hours(24 * random.Between(1, 4));
    SCOPED_TRACE(
        fmt::format("{} {} from {}", cron.Text(), zone, Shown(trigger.value().zone(), from)));
    const auto expected = SlowFirings(cron, zone, from, to);
    ASSERT_EQ(FastFirings(trigger.value(), from, to), expected);
    ASSERT_EQ(CountFirings(trigger.value(), from - Duration(1), to - Duration(1)), expected.size());
    firings += static_cast<int>(expected.size());
  }
  EXPECT_GT(firings, 100) << "else nothing was compared";
}

std::string DrawEvery(Random& random) {
  constexpr std::array kUnits = {"s", "minutes", "hours", "days", "weeks"};
  return fmt::format("{} {}", random.Between(1, 100), random.Of(kUnits));
}

std::string DrawAt(Random& random) {
  constexpr std::array kDays = {"", "", "mon-fri ", "sat,sun ", "sun,tue-thu ", "fri-mon "};
  std::string text = random.Of(kDays);
  for (int times = random.Between(1, 4); times > 0; --times)
    text += fmt::format("{}:{:02}:{:02} ", random.Below(24), random.Below(60), random.Below(60));
  if (random.Below(4) > 0) return text;
  return fmt::format("{}-{:02}-{:02} {}:00",
                     random.Between(1970, 2037),
                     random.Between(1, 12),
                     random.Between(1, 28),
                     random.Below(24));
}

std::string DrawText(Random& random, TriggerKind kind) {
  if (kind == TriggerKind::kCron) return RandomCron(random).Text();
  return kind == TriggerKind::kAt ? DrawAt(random) : DrawEvery(random);
}

TEST(RandomTriggers, HoldTheirProperties) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  for (int i = 0; i < 800; ++i) {
    const TriggerKind kind = random.Of(properties::kKinds);
    const std::string text = DrawText(random, kind);
    const std::string zone(random.Of(properties::kZones));
    const WallTime after = DrawDay(random, zone);
    const std::string told = fmt::format(
        "seed {}: {} {} after {}", seed, text, zone, after.time_since_epoch() / minutes(1));
    const CrashStory story(told);
    const auto trigger = Trigger::Parse(kind, text, zone);
    if (!trigger.ok()) continue;
    properties::CheckSameAgain(trigger.value());
    properties::CheckTriggerFrom(trigger.value(), after);
  }
}

TEST(FuzzedInputs, OfTriggersHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("trigger_fuzz", properties::CheckTrigger), 0);
}

}  // namespace
}  // namespace onebox::schedule
