#pragma once
// Which firings of a trigger are due: when exactly, and what becomes of those that were missed.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "schedule/trigger.h"

namespace onebox::schedule {

// How long after its firing a job begins, so that jobs of one time do not all begin at once: from 0
// to before `jitter`, and always before the next firing. Of the same job and firing it is the same
// each time, on each box and in each release: a restart draws no other.
Duration JitterOf(const Trigger& trigger, std::string_view job, WallTime firing, Duration jitter);

enum class CatchUp : unsigned char {
  kOne,   // the newest firing is due, however late
  kAll,   // all are due, or the newest `all_max` of them
  kNone,  // the newest is due if it is not late
};

struct CatchUpRule {
  CatchUp which = CatchUp::kOne;
  std::uint32_t all_max = 100;
  Duration late = std::chrono::seconds(60);  // from then on after it a firing is late

  bool operator==(const CatchUpRule&) const = default;
};

struct Due {
  std::vector<WallTime> firings;  // to run now, the oldest first

  // Those that are not run: they are to be told, never passed over in silence.
  std::uint64_t missed = 0;
  std::optional<WallTime> missed_first, missed_last;

  // The newest firing, due or missed: with all before it, it is handled now.
  std::optional<WallTime> handled;
};

// Of the firings after `handled` and up to `now`. A job that never ran has handled the instant at
// which it was made. Where the clock was put back before `handled`, there are none.
// The work does not grow with the number that was missed.
Due FindDue(const Trigger& trigger, WallTime handled, WallTime now, const CatchUpRule& rule);

}  // namespace onebox::schedule
