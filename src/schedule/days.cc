#include "schedule/days.h"

#include <bit>

namespace onebox::schedule {
namespace {

using std::chrono::local_days;
using std::chrono::year_month;
using std::chrono::year_month_day;

constexpr std::chrono::months kCalendarRepeats(400 * 12);

std::int64_t FloorDivide(std::int64_t number, std::int64_t by) {
  return number / by - (number % by < 0 ? 1 : 0);
}

// Bits 1 to 31 whose day of the month falls on one of the weekdays.
std::uint32_t WeekDaysInMonth(std::uint32_t week_days, year_month month) {
  const unsigned first = std::chrono::weekday(local_days(month / 1)).c_encoding();
  const std::uint64_t from_first = (week_days | std::uint64_t{week_days} << 7) >> first & 0x7F;
  constexpr std::uint64_t kEachWeek = 1 | 1ULL << 7 | 1ULL << 14 | 1ULL << 21 | 1ULL << 28;
  return static_cast<std::uint32_t>(from_first * kEachWeek << 1);
}

// The days of this month as bits 1 to 31.
std::uint32_t DaysInMonth(const CalendarDays& days, year_month month) {
  if ((days.months >> static_cast<unsigned>(month.month()) & 1) == 0) return 0;
  const std::uint32_t of_week = WeekDaysInMonth(days.week_days, month);
  const std::uint32_t chosen =
      days.rule == DayRule::kEither ? days.month_days | of_week : days.month_days & of_week;
  const auto last = static_cast<unsigned>((month / std::chrono::last).day());
  return chosen & CalendarDays::kAllMonthDays & (0xFFFF'FFFF >> (31 - last));
}

std::uint32_t FromDayOn(std::chrono::day day) {
  return 0xFFFF'FFFF << static_cast<unsigned>(day);
}

std::optional<local_days> First(const CalendarDays& days, local_days from) {
  const year_month_day date(from);
  const year_month began = date.year() / date.month();
  std::uint32_t left = DaysInMonth(days, began) & FromDayOn(date.day());
  for (year_month month = began; month <= began + kCalendarRepeats;) {
    if (left != 0) return local_days(month / std::countr_zero(left));
    month += std::chrono::months(1);
    left = DaysInMonth(days, month);
  }
  return std::nullopt;
}

std::optional<local_days> First(const DayCycle& cycle, local_days from) {
  const std::int64_t since = (from - kFirstMonday).count();
  return kFirstMonday + std::chrono::days(-FloorDivide(-since, cycle.length) * cycle.length);
}

std::optional<local_days> First(const OneDay& one, local_days from) {
  return one.day < from ? std::nullopt : std::optional(one.day);
}

std::int64_t Count(const CalendarDays& days, local_days from, local_days to) {
  const year_month_day begin(from);
  const year_month_day end(to);
  const year_month last = end.year() / end.month();
  std::int64_t count = 0;
  for (year_month month = begin.year() / begin.month(); month <= last;
       month += std::chrono::months(1)) {
    std::uint32_t bits = DaysInMonth(days, month);
    if (month == begin.year() / begin.month()) bits &= FromDayOn(begin.day());
    if (month == last) bits &= ~FromDayOn(end.day());
    count += std::popcount(bits);
  }
  return count;
}

std::int64_t Count(const DayCycle& cycle, local_days from, local_days to) {
  const auto before = [&cycle](local_days day) {
    return FloorDivide((day - kFirstMonday).count() - 1, cycle.length);
  };
  return before(to) - before(from);
}

std::int64_t Count(const OneDay& one, local_days from, local_days to) {
  return from <= one.day && one.day < to ? 1 : 0;
}

}  // namespace

std::optional<local_days> FirstDay(const Days& days, local_days from) {
  return std::visit([from](const auto& kind) { return First(kind, from); }, days);
}

std::int64_t CountDays(const Days& days, local_days from, local_days to) {
  if (to <= from) return 0;
  return std::visit([from, to](const auto& kind) { return Count(kind, from, to); }, days);
}

}  // namespace onebox::schedule
