#include "schedule/every.h"

#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

using std::chrono::seconds;

struct Unit {
  std::string_view name, short_name, letter;
  seconds length;
};
constexpr std::array kUnits = {
    Unit{"week", "week", "w", std::chrono::weeks(1)},
    Unit{"day", "day", "d", std::chrono::days(1)},
    Unit{"hour", "hour", "h", std::chrono::hours(1)},
    Unit{"minute", "min", "m", std::chrono::minutes(1)},
    Unit{"second", "sec", "s", seconds(1)},
};
// Up to here an interval runs through changes of the clock, as "0 * * * *" does.
constexpr seconds kRunsThroughMax = std::chrono::hours(1);

Error Wrong(std::string_view text, std::string_view why) {
  return OperatorError(fmt::format("every {}: {}", Quoted(text), why));
}

std::optional<seconds> FindUnit(std::string_view text) {
  const std::string lowered = Lowered(text);
  for (const Unit& unit : kUnits) {
    for (const std::string_view name : {unit.name, unit.short_name, unit.letter}) {
      if (lowered == name || (name.size() > 1 && lowered == fmt::format("{}s", name)))
        return unit.length;
    }
  }
  return std::nullopt;
}

std::string DidYouMeanUnit(std::string_view wrong) {
  constexpr std::array<std::string_view, 10> kNames = {
      "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks"};
  return DidYouMean(Lowered(wrong), kNames);
}

Result<seconds> ParseInterval(std::string_view text) {
  const std::string_view trimmed = Trimmed(text);
  std::size_t end = 0;
  while (end < trimmed.size() && IsDigit(trimmed[end]))
    ++end;
  const std::string_view digits = trimmed.substr(0, end);
  const std::string_view unit = Trimmed(trimmed.substr(end));
  if (unit.empty()) return Wrong(text, "expected a number and a unit, like \"5 minutes\"");
  const auto length = FindUnit(unit);
  if (!length && unit.starts_with('.'))
    return Wrong(text, "expected a whole number: take a smaller unit");
  if (!length) {
    return Wrong(text,
                 fmt::format("{} is no unit: expected a whole number of seconds, minutes, hours, "
                             "days or weeks, like \"5 minutes\"{}",
                             Quoted(unit),
                             DidYouMeanUnit(unit)));
  }
  const auto number = digits.empty() ? 1 : ParseDecimal(digits, kIntervalMax.count());
  if (!number || *number == 0 || seconds(*number) > kIntervalMax / length->count())
    return Wrong(text, "expected from 1 second to 3660 days");
  return seconds(*number) * length->count();
}

seconds LengthOf(const Meaning& meaning) {
  if (const auto* beat = std::get_if<Beat>(&meaning)) return beat->apart;
  const auto& wall = std::get<WallTimes>(meaning);
  const auto& times = std::get<EvenTimes>(wall.times);
  return times.apart < kDay ? times.apart : kDay * std::get<DayCycle>(wall.days).length;
}

}  // namespace

Result<Meaning> ParseEvery(std::string_view text) {
  const seconds interval = TRY(ParseInterval(text));
  if (interval % kDay == seconds(0)) {
    return Meaning(WallTimes{.days = DayCycle{interval / kDay}, .times = EvenTimes{kDay}});
  }
  if (kDay % interval != seconds(0)) return Meaning(Beat{interval});
  WallTimes wall{.days = DayCycle{1}, .times = EvenTimes{interval}};
  if (interval <= kRunsThroughMax) {
    wall.twice = ShownTwice::kBothCount;
    wall.skipped = Skipped::kLeftOut;
  }
  return Meaning(std::move(wall));
}

std::string FormatEvery(const Meaning& meaning) {
  const seconds length = LengthOf(meaning);
  for (const Unit& unit : kUnits) {
    if (length % unit.length != seconds(0)) continue;
    const std::int64_t number = length / unit.length;
    return fmt::format("{} {}{}", number, unit.name, number == 1 ? "" : "s");
  }
  return "";  // never: each length is a number of seconds
}

}  // namespace onebox::schedule
