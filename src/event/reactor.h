#pragma once
// The event loop of one thread: readiness, timers and wakeups.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <sys/epoll.h>

#include "base/clock.h"
#include "base/result.h"
#include "event/timers.h"
#include "os/fd.h"

namespace onebox::event {

// What is told that a descriptor is ready. Edge-triggered: read or write until EAGAIN.
class Watcher {
 public:
  virtual void OnReady(
      std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR

 protected:
  ~Watcher() = default;
};

// What has work to finish before the thread sleeps.
class TurnEnd {
 public:
  // Returns whether there is more to do at once, so that the turn may not sleep.
  virtual bool OnTurnEnd() = 0;

 protected:
  ~TurnEnd() = default;
};

// All but Post() and Stop() belong to the thread that runs it.
class Reactor {
 public:
  static Result<std::unique_ptr<Reactor>> New(const Clock& clock);

  Time now() const { return now_; }  // stands still within a turn
  Timers& timers() { return timers_; }
  const Clock& clock() const { return clock_; }

  // Edge-triggered; the watcher outlives the watching. An Error is the kernel's limit.
  Status Watch(int fd, Watcher& watcher, std::uint32_t events);
  // Before the descriptor is closed or the watcher goes: events of this turn that name it are
  // forgotten too.
  void Unwatch(int fd, const Watcher& watcher);

  // `turn_end` outlives the reactor's run.
  void AtTurnEnd(TurnEnd& turn_end) { turn_ends_.push_back(&turn_end); }

  // From any thread: `work` runs in the reactor's next turn.
  void Post(std::function<void()> work);
  void Stop();

  // Until Stop().
  void Run();
  // One turn: sleeps until something is ready or due, for at most `sleep_max`.
  void Turn(Duration sleep_max);

 private:
  static constexpr std::size_t kEventsMax = 256;  // of one turn
  class Wakeup final : public Watcher {
   public:
    explicit Wakeup(Reactor& reactor) : reactor_(reactor) {}
    void OnReady(std::uint32_t events) override;

   private:
    Reactor& reactor_;
  };

  Reactor(const Clock& clock, os::Fd epoll, os::Fd wakeup);
  void RunPosted();
  Duration SleepTime(Duration sleep_max);

  const Clock& clock_;
  os::Fd epoll_;
  os::Fd wakeup_fd_;
  Wakeup wakeup_{*this};
  Time now_;
  Timers timers_;
  std::vector<TurnEnd*> turn_ends_;
  std::array<epoll_event, kEventsMax> events_{};
  std::size_t event_count_ = 0;
  bool stopped_ = false;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // under mutex_
};

}  // namespace onebox::event
