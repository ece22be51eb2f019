#pragma once
// Worker: requests from every reactor of the front, given to the threads of this process, or to its
// event loop.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "channel/worker_end.h"
#include "os/fd.h"
#include "os/wait.h"

namespace onebox::worker {

using channel::Delivery;
using channel::End;
using channel::IfFull;

struct Settings {
  std::string attach;  // "@name": reactor i listens on "@name.i"
  std::uint32_t reactors = 1;
  std::uint32_t number = 0;  // of this worker
  std::uint32_t threads = 1;
  std::uint32_t ahead = 0;  // requests that may wait in the channel; see channel::Hello
  std::string app = {};     // for people, as channel::Hello has it
  std::string python = {};
};

// A request that one thread runs, and the way back for its response. Ends it broken off where
// nobody has ended it.
class TakenRequest final {
 public:
  TakenRequest(std::shared_ptr<channel::WorkerEnd> end, channel::WorkerEnd::Taken taken)
      : end_(std::move(end)), taken_(std::move(taken)) {}
  TakenRequest(TakenRequest&& other) noexcept = default;
  TakenRequest& operator=(TakenRequest&& other) = delete;
  ~TakenRequest();

  const channel::Request& request() const { return taken_.request; }
  os::Fd TakeBodyFile() { return std::move(taken_.file); }
  // The client has left, or the front is gone: the response is for nobody.
  bool Cancelled() const { return end_->Cancelled(taken_.ticket); }
  // REQUIRES: it is cancelled.
  channel::CancelReason cancel_reason() const { return end_->ReasonOf(taken_.ticket); }
  bool ended() const { return ended_; }
  // Whether a body would have to wait for the front, as far as this request alone is asked.
  bool HeldBack() const { return end_->HeldBack(taken_.ticket); }

  // As WorkerEnd's of the same names.
  Delivery SendEarlyHints(std::string_view head, IfFull if_full);
  Delivery SendHead(std::string_view head, std::string_view& body, End end, IfFull if_full);
  Delivery SendBody(std::string_view& body, End end, IfFull if_full);
  Delivery SendFile(const os::Fd& file, const channel::FileRange& range, End end, IfFull if_full);
  Delivery SendEnd(End end, IfFull if_full);

 private:
  Delivery Note(Delivery delivery, End end, bool whole);

  std::shared_ptr<channel::WorkerEnd> end_;  // shared: a request outlives a front that dies
  channel::WorkerEnd::Taken taken_;
  bool ended_ = false;
};

// Any number of threads call Next(). One of those that wait watches the descriptors, the others
// sleep; whoever takes a request wakes another to watch. Where requests follow each other so fast
// that whoever runs one is back at once, waking costs more than it gains: then one of those that
// wait stays awake as the deputy, who wakes by the clock alone and watches when nobody comes back.
// A front that is gone is looked for again until this process ends.
class Worker final {
 public:
  static Result<std::unique_ptr<Worker>> New(const Settings& settings, const Clock& clock);

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const Settings& settings() const { return settings_; }

  // The next request; sleeps until there is one. Nothing when drained: the thread has no more to do.
  std::optional<TakenRequest> Next();
  // The next request if one is there at this moment and no other thread is looking.
  std::optional<TakenRequest> TryNext();

  // For a process whose one thread must not sleep here, since it has an event loop. It watches
  // descriptor() for reading, level-triggered. Where that is ready, or the time has passed that
  // Attend() gave last, it calls Attend(); then TryNext() until that gives nothing, and before it
  // returns to its loop MayWait(): where that is false, TryNext() again.
  int descriptor() const { return ready_.descriptor().get(); }
  std::optional<Duration> Attend();
  bool MayWait();
  // Makes descriptor() ready. From any thread.
  void Wake() const { os::Wake(stop_); }
  // After Drain(), or with a failure(): when TryNext() gives nothing, nothing more is to come.
  bool draining() const;

  // Asks the front to send no more. Next() gives what was sent before, then nothing. From any thread.
  void Drain();

  // Sleeps until a request was cancelled, since the last call or now; or until `timeout`, or
  // WakeFromCancel(). One thread at a time.
  void WaitForCancel(std::optional<Duration> timeout) const { cancels_.Wait(timeout); }
  void WakeFromCancel() const { os::Wake(cancel_stop_); }

  // Asks the front to have this process replaced, and drains. From any thread.
  void ReportStuck(channel::Stuck how);

  // Why no front will take this worker, or empty. Then Next() gives nothing.
  std::string failure() const;

 private:
  // The way to one reactor: nothing -> a socket that has greeted -> an open end -> nothing.
  struct Link {
    os::SocketAddress address;
    os::Fd greeted;
    std::shared_ptr<channel::WorkerEnd> end;
    Time retry_at{};
    Duration pause{};  // before the next try
  };

  struct Wakes {
    os::ReadySet ready;    // all that Next() waits for
    os::Fd stop;           // a wakeup in it
    os::ReadySet cancels;  // all that WaitForCancel() waits for
    os::Fd cancel_stop;    // a wakeup in it
  };
  Worker(Settings settings, const Clock& clock, Wakes wakes);

  channel::Hello Hello() const;
  std::optional<TakenRequest> Take();
  std::optional<TakenRequest> TakeFromLinks();
  void WakeAnother();
  void Idle(std::unique_lock<std::mutex>& lock);
  void Watch(std::unique_lock<std::mutex>& lock);
  bool PrepareToSleep();
  void ReadReady(const std::vector<std::uint32_t>& tokens);
  void ConnectLost();
  void ReadSocket(Link& link);
  Status Greet(Link& link);
  Status Open(Link& link);
  void Fail(const Error& why);
  void Close(Link& link);
  std::uint32_t TokenOf(const Link& link) const;
  std::optional<Duration> SleepMax() const;

  const Settings settings_;
  const Clock& clock_;
  os::ReadySet ready_;
  os::Fd stop_;  // a wakeup
  os::ReadySet cancels_;
  os::Fd cancel_stop_;  // a wakeup

  mutable std::mutex mutex_;
  std::condition_variable watch_;  // one of those who sleep here shall look, or watch
  std::condition_variable tick_;   // the deputy sleeps here
  // All below: under mutex_.
  std::vector<Link> links_;
  std::size_t first_ = 0;  // the link to be asked first: each in its turn
  bool watched_ = false;
  std::uint32_t idle_ = 0;
  std::uint64_t takes_ = 0;  // requests taken so far
  Time window_began_{};      // of the last kWindowTakes
  bool fast_ = false;        // they came fast
  bool deputy_ = false;      // there is one
  bool draining_ = false;
  channel::Stuck stuck_ = channel::Stuck::kNo;
  std::string failure_;
};

}  // namespace onebox::worker
