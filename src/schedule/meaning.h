#pragma once
// What a trigger means once it is read: wall times of a place, or an even beat of real time.

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>

#include "schedule/day_times.h"
#include "schedule/days.h"

namespace onebox::schedule {

// What becomes of a wall time that a clock shows twice, because it was put back.
enum class ShownTwice : unsigned char { kFirstCounts, kBothCount };
// What becomes of one that it never shows, because it was put forward.
enum class Skipped : unsigned char { kFiresAfterwards, kLeftOut };

struct WallTimes {
  Days days;
  DayTimes times;
  ShownTwice twice = ShownTwice::kFirstCounts;
  Skipped skipped = Skipped::kFiresAfterwards;

  bool operator==(const WallTimes&) const = default;
};

// Multiples of so many seconds since kFirstMonday, 00:00 UTC, whatever clocks show.
struct Beat {
  std::chrono::seconds apart;

  bool operator==(const Beat&) const = default;
};

using Meaning = std::variant<WallTimes, Beat>;

// The first wall time that is not before `from`.
std::optional<std::chrono::local_seconds> FirstWall(const WallTimes& times,
                                                    std::chrono::local_seconds from);
// How many there are from `from` on and before `to`.
std::int64_t CountWall(const WallTimes& times,
                       std::chrono::local_seconds from,
                       std::chrono::local_seconds to);

}  // namespace onebox::schedule
