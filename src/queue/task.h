#pragma once
// A task as the store takes it, gives it out and shows it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace onebox::queue {

// From 1, ever larger, never used twice; numbers may be left out.
using TaskId = std::int64_t;
inline constexpr TaskId kNoTask = 0;

// A number for each lease of one task: who holds the present one has the task, all before do not.
using Token = std::int64_t;

// held -> waiting <-> running -> done
//   waiting -> expired;  held, waiting, running -> cancelled;  running -> dead -> waiting
// The numbers are in the file: append, never renumber.
enum class State : unsigned char {
  kHeld = 1,       // the callback of a group that has members left
  kWaiting = 2,    // for its ETA, or for a worker
  kRunning = 3,    // leased
  kDone = 4,       // acknowledged
  kExpired = 5,    // its time had passed before anybody took it
  kCancelled = 6,  // by somebody, or because a member of its group ended without being done
  kDead = 7,       // a dead letter: out of attempts
};
inline constexpr State kFirstEnded = State::kDone;

inline constexpr int kPriorityMax = 9;  // leased first; 0 last
inline constexpr int kPriorityDefault = 4;
inline constexpr Duration kKeepMax = std::chrono::hours(24 * 3660);  // ten years
inline constexpr std::size_t kNameBytesMax = 255;                    // of a queue, of a function
inline constexpr std::size_t kKeyBytesMax = 255;                     // unique and dedupe

// The views are borrowed for the call.
struct NewTask {
  std::string_view queue{};    // 1 byte to kNameBytesMax
  std::string_view name{};     // of the function; the same
  std::string_view payload{};  // up to Limits::payload_bytes_max
  int priority = kPriorityDefault;
  WallTime eta{};                     // not leased before; what has passed is now
  std::optional<WallTime> expires{};  // not leased from then on
  std::uint32_t retries = 0;          // kept for the caller, who decides in Fail()
  Duration timeout{};                 // the same; 0: none
  Duration result_keep{};  // how long its end can be asked for, up to kKeepMax; 0: not at all
  std::string_view unique_key{};  // one task with it at a time waits or runs; empty: none
  std::string_view dedupe_key{};  // one is done with it within Limits::dedupe_keep; empty: none
  TaskId parent = kNoTask;        // for people who look; nothing follows from it
};

// What has become of a task that was to be enqueued.
struct Enqueued {
  TaskId id = kNoTask;
  enum class As : unsigned char {
    kNew,
    kUnique,   // one with its unique key waits or runs
    kDeduped,  // one with its dedupe key waits, runs or is done
  } as = As::kNew;
};

// One attempt at one task.
struct Held {
  TaskId id = kNoTask;
  Token token = 0;
};

struct Leased {
  Held held;
  std::string name;
  std::string payload;
  int priority = 0;
  WallTime eta{};
  WallTime enqueued{};
  std::optional<WallTime> expires;
  std::uint32_t attempt = 0;  // from 1; a released one was none
  std::uint32_t deaths = 0;   // of workers that had it
  std::uint32_t retries = 0;
  Duration timeout{};
  TaskId group = kNoTask;  // the callback whose member it is
  TaskId parent = kNoTask;
};

struct Renewal {
  Held held;
  WallTime until{};
  std::optional<double> progress;  // 0 to 1, as the task says
};

// What follows when a task is done: enqueued in the same transaction, whatever its queue's limits
// say, for it was let in with the first. A chain is a task with one next each time.
struct NextTask {
  NewTask task{};
  enum class Membership : unsigned char {
    kNone,
    kInherited,  // it is a member in place of, or beside, the one that is done
  } membership = Membership::kNone;
};

struct Acknowledgement {
  Held held;
  std::string_view result{};  // up to Limits::result_bytes_max
  std::span<const NextTask> next{};
};

struct Failure {
  Held held;
  std::string_view traceback{};        // its last Limits::result_bytes_max are kept
  std::optional<WallTime> retry_at{};  // none: a dead letter
};

// Of an operation on one task.
enum class Outcome : unsigned char {
  kDone,
  kNotHeld,      // the token is not of the present lease: ended, or given to another
  kCancelAsked,  // done, and somebody wants the task to end
  kTooLarge,     // the result; nothing was changed
  kRunning,      // cannot be cancelled here: the holder learns of it when it renews
  kEnded,        // the task had ended before
  kUnknown,      // no such task, or not any more
  kKeyTaken,     // a dead letter whose unique or dedupe key another task has by now
  kNextRefused,  // a next task is not as it has to be; nothing was changed
};

struct Acknowledged {
  Outcome outcome = Outcome::kDone;
  std::vector<Enqueued> next;
};

// What can be asked of a task until it is swept.
struct TaskStatus {
  TaskId id = kNoTask;
  State state = State::kWaiting;
  std::string queue;
  std::string name;
  int priority = 0;
  std::uint32_t attempts = 0;
  std::uint32_t deaths = 0;
  std::uint32_t members_left = 0;  // of a callback
  TaskId group = kNoTask;
  TaskId parent = kNoTask;
  WallTime enqueued{};
  WallTime eta{};
  std::optional<WallTime> begun;  // of the last attempt
  std::optional<WallTime> ended;
  std::optional<WallTime> lease_end;  // while it runs
  Token token = 0;                    // of the last lease
  bool cancel_asked = false;
  std::int64_t holder = 0;  // who has it, or had it last
  std::optional<double> progress;
  std::string outcome;  // the result, or the traceback of the last failure
};

// One queue at a glance.
struct QueueFigures {
  std::string name;
  enum class Paused : unsigned char { kNo, kYes } paused = Paused::kNo;
  std::uint64_t held = 0;
  std::uint64_t waiting = 0;  // due or not
  std::uint64_t due = 0;      // of those that wait: their ETA has come
  std::uint64_t running = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;  // payloads of those that are held, wait or run
  Duration oldest{};        // how long the one that has been due for longest has been
  double done_per_minute = 0;
  // Since the store was opened.
  std::uint64_t enqueued_total = 0;
  std::uint64_t done_total = 0;
  std::uint64_t failed_total = 0;  // attempts
  std::uint64_t expired_total = 0;
  std::uint64_t cancelled_total = 0;
  std::uint64_t dead_total = 0;
};

}  // namespace onebox::queue
