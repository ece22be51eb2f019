#include "schedule/meaning.h"

namespace onebox::schedule {

using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::seconds;

std::optional<local_seconds> FirstWall(const WallTimes& times, local_seconds from) {
  const auto today = std::chrono::floor<std::chrono::days>(from);
  auto day = FirstDay(times.days, today);
  std::optional<seconds> time;
  if (day == today) {
    time = FirstTime(times.times, from - today);
    if (!time) day = FirstDay(times.days, today + std::chrono::days(1));
  }
  if (!day) return std::nullopt;
  if (!time) time = FirstTime(times.times, seconds(0));
  if (!time) return std::nullopt;
  return *day + *time;
}

std::int64_t CountWall(const WallTimes& times, local_seconds from, local_seconds to) {
  if (to <= from) return 0;
  // Whole days to before that of `wall`, and what is before `wall` in its own.
  const auto count_before = [&times](local_seconds wall, local_days origin) {
    const auto today = std::chrono::floor<std::chrono::days>(wall);
    const std::int64_t today_is_one = CountDays(times.days, today, today + std::chrono::days(1));
    return CountDays(times.days, origin, today) * CountTimesBefore(times.times, kDay) +
           today_is_one * CountTimesBefore(times.times, wall - today);
  };
  const auto origin = std::chrono::floor<std::chrono::days>(from);
  return count_before(to, origin) - count_before(from, origin);
}

}  // namespace onebox::schedule
