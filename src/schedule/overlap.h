#pragma once
// What becomes of the firings of a job that have come due: who runs, who is passed over.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "schedule/job.h"

namespace onebox::schedule {

// Firings that are told in one line.
struct Told {
  std::uint64_t count = 0;
  WallTime first{}, last{};

  void Add(std::uint64_t more, WallTime from, WallTime to);
};

struct Decision {
  std::vector<WallTime> run;  // the oldest first
  Told skipped;
  Told missed;
  // With all before it, it is handled. Nothing: none was due.
  std::optional<WallTime> handled;
};

// When a firing begins: its time and its jitter. Always before the next firing's time.
WallTime BeginOf(const Trigger& trigger, const JobSpec& job, WallTime firing);

// Of the firings after `handled` that have begun by `now`. `unended` is how many of the job's firings
// wait or run; those that kReplace makes way for do not count.
Decision Decide(const Trigger& trigger,
                const JobSpec& job,
                WallTime handled,
                std::size_t unended,
                WallTime now);

}  // namespace onebox::schedule
