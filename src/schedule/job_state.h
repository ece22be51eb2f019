#pragma once
// A job as the broker has it in memory: its marks, its firings and runs that have not ended.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "schedule/job.h"
#include "schedule/trigger.h"

namespace onebox::schedule {

// What was declared; shared with the firings that were given out.
struct Definition {
  JobSpec spec;
  std::optional<Trigger> trigger;  // none: `error` says why
  std::string error;

  // Never an Error: what cannot be read is in `error`.
  static std::shared_ptr<const Definition> Of(JobSpec spec);
};

// What is wrong in it, in a sentence; nothing where it may be declared.
std::optional<std::string> WhyNot(const JobSpec& spec);

// A firing that is to run, and is not known to be in the queue.
struct Pending {
  std::int64_t fence = 0;
  WallTime firing{};
  bool manual = false;
  bool taken = false;  // given out, and neither confirmed nor refused
};

// A run that the queue has, and that has not ended.
struct Unended {
  RunId run = kNoRun;
  std::int64_t row = 0;  // in the history
  bool begun = false;
};

// A value: what a transaction changes is a copy, until it is committed.
struct JobState {
  std::int64_t id = 0;
  std::shared_ptr<const Definition> definition;
  Source source = Source::kApp;
  WallTime handled{};  // with all firings before it
  bool paused = false;
  std::optional<WallTime> removed;  // when; kept for its history and its runs
  std::uint64_t missed_total = 0;
  std::uint64_t skipped_total = 0;
  std::vector<Pending> pending;  // in the order of their fences
  std::vector<Unended> unended;

  std::uint32_t rows = 0;  // of its history
  // The newest of them, where it tells of firings that never ran beside a run that has not ended: the
  // next of its kind is counted there.
  std::int64_t told_row = 0;
  RunState told = RunState::kSkipped;

  std::optional<WallTime> next;  // when its next firing begins
  std::uint32_t refusals = 0;    // by the queue, one after the other
  WallTime retry_at{};           // nothing is given out before

  const JobSpec& spec() const { return definition->spec; }
  // Whether it is already what is declared, and can be read.
  bool Is(Source from, const JobSpec& declared) const {
    return live() && source == from && definition->trigger && spec() == declared;
  }
  bool live() const { return !removed.has_value(); }
  bool fires() const { return live() && !paused && definition->trigger.has_value(); }

  // Reckons `next` anew, after a change of `handled` or of the definition.
  void Aim();
  // The first firing that may be given out now, as far as its overlap goes; null: none.
  Pending* Startable();
  Pending* FindPending(std::int64_t fence);
  // When something is to be done for it; nothing: not before somebody says something.
  std::optional<WallTime> WakeAt();
};

}  // namespace onebox::schedule
