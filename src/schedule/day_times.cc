#include "schedule/day_times.h"

#include <algorithm>
#include <bit>

namespace onebox::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// The first set bit that is not below `from`; 64 where there is none.
int FirstBit(std::uint64_t bits, std::int64_t from) {
  return from > 63 ? 64 : std::countr_zero(bits >> from << from);
}

std::optional<seconds> First(const MinutesOfHours& times, seconds from) {
  const std::int64_t minute = (from.count() + 59) / 60;  // of the day
  const std::int64_t hour = minute / 60;
  if (hour < 24 && (times.hours >> hour & 1) != 0) {
    const int found = FirstBit(times.minutes, minute % 60);
    if (found < 60) return hours(hour) + minutes(found);
  }
  const int later = FirstBit(times.hours, hour + 1);
  if (later > 23) return std::nullopt;
  return hours(later) + minutes(FirstBit(times.minutes, 0));
}

std::optional<seconds> First(const EvenTimes& times, seconds from) {
  const seconds found = (from + times.apart - seconds(1)) / times.apart * times.apart;
  return found < kDay ? std::optional(found) : std::nullopt;
}

std::optional<seconds> First(const ListedTimes& times, seconds from) {
  const auto found = std::lower_bound(times.of_day.begin(), times.of_day.end(), from);
  return found == times.of_day.end() ? std::nullopt : std::optional(*found);
}

std::int64_t CountBefore(const MinutesOfHours& times, seconds to) {
  const std::int64_t minute = (to.count() + 59) / 60;
  const std::int64_t hour = minute / 60;
  const std::int64_t in_hour = std::popcount(times.minutes);
  std::int64_t count = std::popcount(times.hours & ((1U << hour) - 1)) * in_hour;
  if ((times.hours >> hour & 1) != 0)
    count += std::popcount(times.minutes & ((1ULL << minute % 60) - 1));
  return count;
}

std::int64_t CountBefore(const EvenTimes& times, seconds to) {
  return (to + times.apart - seconds(1)) / times.apart;
}

std::int64_t CountBefore(const ListedTimes& times, seconds to) {
  return std::lower_bound(times.of_day.begin(), times.of_day.end(), to) - times.of_day.begin();
}

}  // namespace

std::optional<seconds> FirstTime(const DayTimes& times, seconds from) {
  return std::visit([from](const auto& kind) { return First(kind, from); }, times);
}

std::int64_t CountTimesBefore(const DayTimes& times, seconds to) {
  return std::visit([to](const auto& kind) { return CountBefore(kind, to); }, times);
}

}  // namespace onebox::schedule
