#include "schedule/cron.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

struct Field {
  std::string_view name;
  int first, last;                          // of all, which a star means
  int last_written;                         // 7 is Sunday again
  std::span<const std::string_view> names;  // of `first` and the following
  std::string_view named_range;
};
constexpr Field kMinute{"minute", 0, 59, 59, {}, ""};
constexpr Field kHour{"hour", 0, 23, 23, {}, ""};
constexpr Field kMonthDay{"day of month", 1, 31, 31, {}, ""};
constexpr Field kMonth{"month", 1, 12, 12, kMonthNames, " or JAN to DEC"};
constexpr Field kWeekDay{"weekday", 0, 6, 7, kWeekDayNames, " or SUN to SAT"};
constexpr std::array kFields = {&kMinute, &kHour, &kMonthDay, &kMonth, &kWeekDay};
constexpr std::size_t kFieldCount = kFields.size();

struct Macro {
  std::string_view name, meaning;
};
constexpr std::array kMacros = {
    Macro{"@hourly", "0 * * * *"},
    Macro{"@daily", "0 0 * * *"},
    Macro{"@midnight", "0 0 * * *"},
    Macro{"@weekly", "0 0 * * 0"},
    Macro{"@monthly", "0 0 1 * *"},
    Macro{"@yearly", "0 0 1 1 *"},
    Macro{"@annually", "0 0 1 1 *"},
};

// What a field means, and whether it begins with a star.
struct Values {
  std::uint64_t bits = 0;
  bool starred = false;
};

std::uint64_t AllOf(const Field& field) {
  return (1ULL << (field.last + 1)) - (1ULL << field.first);
}

// Reads one field; knows the whole for its messages.
class FieldReader {
 public:
  FieldReader(std::string_view whole, const Field& field) : whole_(whole), field_(field) {}

  Result<Values> Read(std::string_view text) const {
    Values values{.starred = text.starts_with('*')};
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      values.bits |= TRY(ReadItem(text.substr(begin, end - begin)));
      begin = end + 1;
    }
    return values;
  }

 private:
  struct Range {
    int first, last;
  };

  Error Wrong(std::string_view part, std::string_view why) const {
    return OperatorError(fmt::format("cron {}: {} {} at column {}: {}",
                                     Quoted(whole_),
                                     field_.name,
                                     Quoted(part),
                                     part.data() - whole_.data() + 1,
                                     why));
  }

  std::string Expected() const {
    return fmt::format(
        "expected {} to {}{}, or *", field_.first, field_.last_written, field_.named_range);
  }

  // "*", "5", "1-5", and the first and the last of them with a step: "*/15", "0-30/10".
  Result<std::uint64_t> ReadItem(std::string_view item) const {
    const std::size_t slash = item.find('/');
    const std::string_view before = item.substr(0, slash);
    const Range range = TRY(ReadRange(before));
    int step = 1;
    if (slash != std::string_view::npos) {
      if (before != "*" && before.find('-') == std::string_view::npos) {
        return Wrong(
            item, fmt::format("a step needs a range: write {}-{} before it", before, field_.last));
      }
      step = TRY(ReadStep(item.substr(slash + 1)));
    }
    std::uint64_t bits = 0;
    const int wrapped_at = field_.last_written > field_.last ? field_.last + 1 : 64;
    for (int value = range.first; value <= range.last; value += step)
      bits |= 1ULL << value % wrapped_at;
    return bits;
  }

  Result<Range> ReadRange(std::string_view text) const {
    if (text == "*") return Range{field_.first, field_.last};
    const std::size_t dash = text.find('-');
    const int first = TRY(ReadValue(text.substr(0, dash)));
    if (dash == std::string_view::npos) return Range{first, first};
    const int last = TRY(ReadValue(text.substr(dash + 1)));
    if (first <= last) return Range{first, last};
    if (field_.last_written > field_.last) {  // past Saturday; or from Sunday on, as 7
      const int sunday = field_.last_written;
      return first == sunday ? Range{field_.first, last} : Range{first, last + sunday};
    }
    return Wrong(text,
                 fmt::format("the range ends before it begins: write {}-{},{}-{}",
                             first,
                             field_.last,
                             field_.first,
                             last));
  }

  Result<int> ReadValue(std::string_view text) const {
    if (const auto number = ParseDecimal(text, 99)) {
      const int value = static_cast<int>(*number);
      if (value >= field_.first && value <= field_.last_written) return value;
    }
    if (const auto found = FindName(text, field_.names)) return field_.first + *found;
    if (text.find_first_of("?LW#lw") != std::string_view::npos && field_.names.empty())
      return Wrong(text, Expected() + " (?, L, W and # are not cron's)");
    return Wrong(text, Expected() + DidYouMeanName(text, field_.names));
  }

  Result<int> ReadStep(std::string_view text) const {
    const int values = field_.last - field_.first + 1;
    const auto step = ParseDecimal(text, static_cast<std::uint64_t>(values));
    if (step && *step > 0) return static_cast<int>(*step);
    return Wrong(text,
                 fmt::format("expected a step from 1 to {}; longer ones are intervals: every = "
                             "\"90 minutes\"",
                             values));
  }

  std::string_view whole_;
  const Field& field_;
};

std::vector<std::string_view> SplitFields(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  std::vector<std::string_view> fields;
  for (std::size_t at = text.find_first_not_of(kBlank); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBlank, at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBlank, end);
  }
  return fields;
}

Error WrongCount(std::string_view text, std::size_t count) {
  std::string_view hint;
  if (count == kFieldCount + 1)
    hint = "; a field of seconds is written first by some and last by others: take every or at";
  return OperatorError(
      fmt::format("cron {}: expected 5 fields (minute, hour, day of month, month, weekday), not "
                  "{}{}",
                  Quoted(text),
                  count,
                  hint));
}

Result<std::string_view> MeaningOfMacro(std::string_view text) {
  std::vector<std::string_view> names;
  for (const Macro& macro : kMacros) {
    if (EqualsIgnoreCase(macro.name, text)) return macro.meaning;
    names.push_back(macro.name);
  }
  if (EqualsIgnoreCase(text, "@reboot"))
    return OperatorError("cron \"@reboot\": a start of the box is no time of the clock");
  return OperatorError(fmt::format("cron {}: expected one of {}{}",
                                   Quoted(text),
                                   fmt::join(names, ", "),
                                   DidYouMean(Lowered(text), names)));
}

WallTimes MeaningOf(const std::array<Values, kFieldCount>& fields) {
  const auto& [minute, hour, month_day, month, week_day] = fields;
  const bool every_hour = hour.bits == AllOf(kHour);
  const bool both = month_day.starred || week_day.starred;
  return {.days = CalendarDays{.month_days = static_cast<std::uint32_t>(month_day.bits),
                               .months = static_cast<std::uint32_t>(month.bits),
                               .week_days = static_cast<std::uint32_t>(week_day.bits),
                               .rule = both ? DayRule::kBoth : DayRule::kEither},
          .times = MinutesOfHours{minute.bits, static_cast<std::uint32_t>(hour.bits)},
          .twice = every_hour || minute.starred ? ShownTwice::kBothCount : ShownTwice::kFirstCounts,
          .skipped = every_hour ? Skipped::kLeftOut : Skipped::kFiresAfterwards};
}

Status CheckComes(std::string_view text, const Days& days) {
  if (FirstDay(days, kFirstMonday)) return Done();
  return OperatorError(
      fmt::format("cron {}: it never fires, because no such day comes: day of month and month do "
                  "not go together",
                  Quoted(text)));
}

// The bits of */step.
std::uint64_t EachStep(const Field& field, int step) {
  std::uint64_t bits = 0;
  for (int value = field.first; value <= field.last; value += step)
    bits |= 1ULL << value;
  return bits;
}

// "1-5,7"
std::string FormatList(std::uint64_t bits) {
  std::string text;
  while (bits != 0) {
    const int first = std::countr_zero(bits);
    const int count = std::countr_one(bits >> first);
    if (!text.empty()) text += ',';
    text += count == 1 ? fmt::format("{}", first) : fmt::format("{}-{}", first, first + count - 1);
    bits &= ~(((1ULL << count) - 1) << first);
  }
  return text;
}

// With a star in front, which needs the first value: "*", "*/15", "*/20,5".
std::string FormatStarred(const Field& field, std::uint64_t bits) {
  int step = 1;
  while ((EachStep(field, step) & ~bits) != 0)
    ++step;
  std::string text = step == 1 ? "*" : fmt::format("*/{}", step);
  const std::uint64_t others = bits & ~EachStep(field, step);
  return others == 0 ? text : text + "," + FormatList(others);
}

// Where a star is as good as a list.
std::string FormatShort(const Field& field, std::uint64_t bits) {
  if (bits == AllOf(field)) return "*";
  std::string starred = (bits >> field.first & 1) != 0 ? FormatStarred(field, bits) : "";
  const bool plain =
      !starred.empty() && std::popcount(bits) > 2 && starred.find(',') == starred.npos;
  return plain ? starred : FormatList(bits);
}

// One of the two has to begin with a star, or neither may. A star needs the first value; where the
// month's is missing, the week's is there, for one of them was written with a star.
std::string FormatDays(const CalendarDays& days) {
  std::string month_days = FormatList(days.month_days);
  std::string week_days = FormatList(days.week_days);
  if (days.rule == DayRule::kBoth) {
    const bool star_week = days.week_days == AllOf(kWeekDay) || (days.month_days >> 1 & 1) == 0;
    const bool star_month = days.month_days == AllOf(kMonthDay) || !star_week;
    if (star_month) month_days = FormatStarred(kMonthDay, days.month_days);
    if (star_week) week_days = FormatStarred(kWeekDay, days.week_days);
  }
  return fmt::format("{} {} {}", month_days, FormatShort(kMonth, days.months), week_days);
}

}  // namespace

Result<WallTimes> ParseCron(std::string_view text) {
  std::vector<std::string_view> written = SplitFields(text);
  if (written.size() == 1 && written[0].starts_with('@'))
    written = SplitFields(TRY(MeaningOfMacro(written[0])));
  if (written.size() != kFieldCount) return WrongCount(text, written.size());
  std::array<Values, kFieldCount> fields;
  for (std::size_t i = 0; i < kFieldCount; ++i)
    fields[i] = TRY(FieldReader(text, *kFields[i]).Read(written[i]));
  WallTimes times = MeaningOf(fields);
  TRY(CheckComes(text, times.days));
  return times;
}

std::string FormatCron(const WallTimes& times) {
  const auto& [minutes, hours] = std::get<MinutesOfHours>(times.times);
  std::string minute = FormatShort(kMinute, minutes);
  if (hours != AllOf(kHour)) {  // then the star means something
    minute = times.twice == ShownTwice::kBothCount ? FormatStarred(kMinute, minutes)
                                                   : FormatList(minutes);
  }
  return fmt::format("{} {} {}",
                     minute,
                     FormatShort(kHour, hours),
                     FormatDays(std::get<CalendarDays>(times.days)));
}

}  // namespace onebox::schedule
