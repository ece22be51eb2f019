#pragma once
// The days that a trigger means, found by arithmetic instead of day by day.

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>

namespace onebox::schedule {

// What is counted in whole days or weeks is counted from this Monday, by the calendar of the place.
constexpr std::chrono::local_days kFirstMonday{std::chrono::year(1970) / std::chrono::January /
                                               std::chrono::day(5)};

// Whether a day must be right as a day of its month and as a weekday, or as one of the two.
enum class DayRule : unsigned char { kBoth, kEither };

struct CalendarDays {
  static constexpr std::uint32_t kAllMonthDays = 0xFFFF'FFFE;
  static constexpr std::uint32_t kAllMonths = 0x1FFE;
  static constexpr std::uint32_t kAllWeekDays = 0x7F;

  std::uint32_t month_days = kAllMonthDays;  // bits 1 to 31
  std::uint32_t months = kAllMonths;         // bits 1 to 12
  std::uint32_t week_days = kAllWeekDays;    // bits 0, Sunday, to 6
  DayRule rule = DayRule::kBoth;

  bool operator==(const CalendarDays&) const = default;
};

// Every so many days, counted from kFirstMonday.
struct DayCycle {
  std::int64_t length = 1;

  bool operator==(const DayCycle&) const = default;
};

struct OneDay {
  std::chrono::local_days day;

  bool operator==(const OneDay&) const = default;
};

using Days = std::variant<CalendarDays, DayCycle, OneDay>;

// The first of them that is not before `from`. Nothing where none comes: 400 years are looked
// through, after which the calendar repeats; a month costs a few nanoseconds.
std::optional<std::chrono::local_days> FirstDay(const Days& days, std::chrono::local_days from);

// How many there are from `from` on and before `to`.
std::int64_t CountDays(const Days& days, std::chrono::local_days from, std::chrono::local_days to);

}  // namespace onebox::schedule
