#pragma once
// A job as it is declared, its firings as they are given out, its runs as people see them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "schedule/firings.h"
#include "schedule/trigger.h"

namespace onebox::schedule {

// The id of the task, in the durable queue, that is a run of a job.
using RunId = std::int64_t;
inline constexpr RunId kNoRun = 0;

inline constexpr std::size_t kJobNameBytesMax = 200;
inline constexpr std::size_t kWhatBytesMax = 4096;
// Firings of one job that wait, beside the one that runs.
inline constexpr std::size_t kQueuedMax = 100;

// The numbers of these enums are in the file: append, never renumber.

// Who says that there is such a job.
enum class Source : unsigned char { kApp = 0, kConfig = 1 };

// What becomes of a firing while a run of its job waits or runs.
enum class Overlap : unsigned char {
  kSkip = 0,      // it is passed over, and told as skipped
  kQueue = 1,     // it runs afterwards; where kQueuedMax wait already, it is told as missed
  kReplace = 2,   // it runs, and what ran is cancelled
  kParallel = 3,  // it runs too; where kQueuedMax + 1 have not ended, it is told as missed
};

// How `what` is to be read.
enum class Work : unsigned char { kCall = 0, kCommand = 1, kUrl = 2 };

struct JobSpec {
  std::string name{};  // 1 byte to kJobNameBytesMax, no control characters
  TriggerKind kind = TriggerKind::kEvery;
  std::string text{};  // of the trigger
  std::string zone{};  // of the time zone database; empty: this machine's
  Duration jitter{};
  Duration timeout{};  // kept for the caller; 0: none
  Overlap overlap = Overlap::kSkip;
  CatchUpRule catch_up{};     // all_max from 1 to kQueuedMax
  std::uint32_t retries = 0;  // kept for the caller
  Work work = Work::kCall;
  std::string what{};  // 1 byte to kWhatBytesMax: "module:function", a command, an URL

  bool operator==(const JobSpec&) const = default;
};

// What is to be put into the durable queue now.
struct Firing {
  std::shared_ptr<const JobSpec> job;
  WallTime time{};         // the trigger's, without jitter; of a manual one, when it was asked for
  std::int64_t fence = 0;  // ever larger, over all jobs: names the firing, and orders runs of a job
  bool manual = false;
  // For the queue's dedupe key, so that a firing that is given out again is enqueued once. At most 255
  // bytes.
  std::string key;
  std::vector<RunId> replaces;  // runs that are to be cancelled for it
};

// Up to kRunning a run has not ended.
enum class RunState : unsigned char {
  kWaiting = 1,
  kRunning = 2,
  kDone = 3,
  kFailed = 4,
  kTimeout = 5,
  kDied = 6,  // its worker did
  kCancelled = 7,
  // These two never ran. They may stand for several firings.
  kSkipped = 8,
  kMissed = 9,
};

// A line of a job's history.
struct JobRun {
  std::string job{};
  RunState state = RunState::kWaiting;
  RunId run = kNoRun;
  WallTime firing{};        // the first of several
  WallTime last{};          // of several; else the same
  std::uint64_t count = 1;  // firings
  std::int64_t fence = 0;   // 0 where it never ran
  bool manual = false;
  std::int64_t worker = 0;  // the last that began it; 0: none
  std::uint32_t attempts = 0;
  std::optional<WallTime> begun{};  // the first attempt
  std::optional<WallTime> ended{};  // of one that never ran: when that was decided
  std::string traceback{};          // of the last attempt
};

struct JobStatus {
  std::shared_ptr<const JobSpec> job;
  Source source = Source::kApp;
  std::string error{};             // why it never fires: its trigger cannot be read any more
  std::optional<WallTime> next{};  // its next firing with its jitter, were it not paused
  bool paused = false;
  std::uint32_t pending = 0;  // firings that wait for a run to end, or to be enqueued
  std::uint32_t waiting = 0;  // runs in the queue
  std::uint32_t running = 0;
  std::uint64_t missed_total = 0;
  std::uint64_t skipped_total = 0;
  std::optional<JobRun> last{};  // the newest line of its history
};

}  // namespace onebox::schedule
