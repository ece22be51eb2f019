#pragma once
// DeadlineWatch: has requests ended that nobody waits for any more, where the app does not notice.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "worker/worker.h"

namespace onebox::worker {

// "GET /path", as the log has a request, beside its id: without its query, which may hold secrets.
std::string LineOf(const channel::Request& request);

// Where one request at a time is run: a thread of the app's, or what takes its place. idle -> open
// (Begin) -> closed (Close) -> idle (End). Whoever runs the request calls these three, and holds the
// language's lock as he does: Interrupter::Raise() comes under that lock, and only while it is open.
class Place final {
 public:
  // `name`: the language's word for it.
  Place(const Worker& worker, std::uint64_t name) : worker_(worker), name_(name) {}

  std::uint64_t name() const { return name_; }

  // `request` stays where it is until End().
  void Begin(const TakenRequest& request);
  // From now on nothing is raised here. Whether something was; it may not have arrived yet.
  bool Close();
  void End();

 private:
  friend class DeadlineWatch;
  enum class State : unsigned char { kIdle, kOpen, kClosed };
  // What the watch has done about the request.
  enum class Told : unsigned char { kNothing, kAsked, kRaised, kStuck };

  const Worker& worker_;
  const std::uint64_t name_;
  std::mutex mutex_;  // guards all below; who holds it waits for nothing
  const TakenRequest* request_ = nullptr;
  std::uint64_t serial_ = 0;  // no two requests of one place have the same
  std::uint64_t steps_ = 0;   // calls of the three
  State state_ = State::kIdle;
  bool raised_ = false;
  Told told_ = Told::kNothing;
  std::optional<Duration> told_at_;  // when the watch saw that it was raised
};

// What only the app's language can do.
class Interrupter {
 public:
  virtual ~Interrupter() = default;

  // The lock that code of the language needs to run; it may take for ever.
  virtual void Lock() = 0;
  virtual void Unlock() = 0;
  // Under the lock. Where the place is at this moment, as the language shows it: lines.
  virtual std::string StackOf(std::uint64_t place) = 0;
  // Under the lock. Raises what ends a request.
  virtual void Raise(std::uint64_t place, channel::CancelReason reason) = 0;
  // Without the lock. The number of the thread that the place is in.
  virtual std::uint64_t ThreadOf(std::uint64_t place) const = 0;
  // Without the lock, from two threads.
  virtual void Log(std::string_view request_id, std::string_view lines) = 0;
  // Without the lock, and while another has it. Logs the stack of every place.
  virtual void DumpAll() = 0;
};

// The front decides that nobody waits for a response, and says so (channel::FrontEnd::Cancel). Then:
//
//   cancelled -> due -> its stack is logged -> something is raised in it -> it ends
//                 |                                        '-> it still runs after kGrace: stuck
//                 '-> the lock was not to be had for kGrace, and no request began or ended:
//                     nothing in this process runs
//
// Due is at once what was cancelled for its deadline, and what may end when its client leaves; at its
// deadline what may not; never an answer that has begun and may not. A request that ends in time costs
// Begin(), Close() and End(), and wakes nobody. Worker and Interrupter outlive the watch.
class DeadlineWatch final {
 public:
  static constexpr Duration kGrace = std::chrono::seconds(1);

  DeadlineWatch(Worker& worker, Interrupter& interrupter, const Clock& clock)
      : worker_(worker), interrupter_(interrupter), clock_(clock), looked_at_(clock.Now()) {}
  ~DeadlineWatch();
  DeadlineWatch(const DeadlineWatch&) = delete;
  DeadlineWatch& operator=(const DeadlineWatch&) = delete;

  // Stays as long as the watch.
  Place& NewPlace(std::uint64_t name);

  // Starts the two threads that do what follows; a test does it itself.
  void Start();

  // Looks at every place. How long it may sleep where no request is cancelled; nothing: for ever.
  std::optional<Duration> Look();
  // Does what Look() has found to be done. Waits for the language's lock.
  void Interrupt();

 private:
  enum class Action : unsigned char { kRaise, kOnlyLog };

  // What needs the lock to be done; a copy, since the request may end at any time.
  struct Errand {
    Place* place;
    std::uint64_t serial;
    std::string id;
    std::string story;  // a line
    Action action;
    channel::CancelReason reason;
    std::string stack = {};
  };
  class Locked;

  void CountElapsed();
  std::optional<Duration> LookAt(Place& place);
  std::optional<Duration> LookAtLock(bool others_have_it);
  static std::uint64_t StepsOf(Place& place);
  Time DueAt(const TakenRequest& request) const;
  void Send(Place& place, Action action, std::string_view story);
  void GiveUp();
  bool Runs(const Errand& errand);
  void Raise(const Errand& errand);
  void RunLooks();
  void RunInterrupts();

  Worker& worker_;
  Interrupter& interrupter_;
  const Clock& clock_;

  std::mutex places_mutex_;
  std::vector<std::unique_ptr<Place>> places_;  // only grows

  // Of the thread that looks.
  Time now_{};
  Time looked_at_;
  Duration elapsed_{};  // in which this process was seen to run
  bool thread_is_stuck_ = false;
  bool process_is_stuck_ = false;
  std::uint64_t steps_ = 0;  // of all places, at the last look
  std::uint64_t lock_seen_ = 0;
  Duration lock_seen_at_{};

  std::mutex errands_mutex_;  // guards all below
  std::condition_variable errands_came_;
  std::vector<Errand> errands_;
  std::uint64_t locks_wanted_ = 0, locks_had_ = 0;
  bool stopping_ = false;

  std::thread looks_, interrupts_;
};

}  // namespace onebox::worker
