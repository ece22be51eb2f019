#pragma once
// OutboxThread: brings what is in the outbox to the thread that keeps the queue.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "database/address.h"
#include "database/outbox.h"
#include "os/fd.h"

namespace onebox::database {

// A thread of its own, since calls to a database wait. One batch is under way at a time:
//
//   taken -> offered (wakeup() is readable) -> with the broker (TakeBatch) -> answered (Answer) -> finished
//
// The broker's thread never waits here. What it does, each time that wakeup() is readable:
//
//   while (auto batch = outbox.TakeBatch()) {
//     ... enqueues the rows with their dedupe keys, and commits: now they are on the disk ...
//     outbox.Answer(batch->number, {.done = ..., .refused = ...});
//   }
//
// A row in neither list is for later, since a queue is full or paused for now: others are offered first, and
// where none was done there is a pause that grows.
//
// It is made after the last fork. Its end takes a moment, or as long as a resolver that does not answer; a batch that is
// not answered then comes again. The clock outlives it.
class OutboxThread final {
 public:
  struct Options {
    Address address;
    Outbox::Limits limits = {};
    Duration interval = std::chrono::milliseconds(200);  // between looks at an empty outbox
    Duration timeout = std::chrono::seconds(2);          // of each call to the database
    // What is not answered by then is let go of: another box may have it.
    Duration answer_timeout = std::chrono::seconds(20);
    Backoff::Options pause = {};  // where the database does not answer, or nothing was done
    // From this thread: one line for the log for each change of state and each row that is set aside.
    std::function<void(std::string_view line)> note = [](std::string_view) {};
  };

  OutboxThread(Options options, const Clock& clock);
  ~OutboxThread();
  OutboxThread(const OutboxThread&) = delete;
  OutboxThread& operator=(const OutboxThread&) = delete;

  struct Batch {
    std::uint64_t number = 0;
    std::vector<OutboxRow> rows;  // at least one
  };
  // From one other thread. wakeup() is an eventfd that is readable when a batch is offered, until TakeBatch().
  const os::Fd& wakeup() const { return wakeup_; }
  std::optional<Batch> TakeBatch();
  // An answer to a batch that was let go of meanwhile counts for nothing.
  void Answer(std::uint64_t number, OutboxAnswer answer);

  enum class State : std::uint8_t { kConnecting, kUp, kDown };
  struct Look {
    State state = State::kConnecting;
    std::string last_error;  // empty: there was none
    std::uint64_t done_total = 0;
    std::uint64_t refused_total = 0;  // set aside by us
    std::uint64_t later_total = 0;    // rows that were answered with neither
    std::uint64_t let_go_total = 0;   // batches
    std::uint64_t losses_total = 0;   // of a connection
    std::uint64_t set_aside = 0;  // in the table when it was last looked for, kSetAsideMax at most
  };
  static constexpr std::uint64_t kSetAsideMax = 1000;
  Look look() const;  // from any thread

 private:
  void Run();
  Status Drain(Backoff& backoff);
  struct Progress {
    std::size_t ended = 0, left = 0;  // rows of a batch
  };
  Result<Progress> Bring(Outbox& outbox, const Outbox::Batch& batch);
  void NoteUp(std::uint64_t set_aside);
  std::optional<OutboxAnswer> Offer(const Outbox::Batch& batch);
  void Sleep(Duration duration) const;

  const Options options_;
  const Clock& clock_;
  std::atomic<bool> ending_ = false;
  os::Fd end_;     // wakes the thread
  os::Fd wakeup_;  // wakes the broker's

  mutable std::mutex mutex_;          // guards all below
  std::condition_variable answered_;  // this thread waits here for the broker's
  Look look_;
  std::uint64_t number_ = 0;  // of the batch that is under way, or was last
  std::optional<Batch> offered_;
  std::optional<OutboxAnswer> answer_;  // to the batch of that number

  std::thread thread_;
};

}  // namespace onebox::database
