#pragma once
// The queue of one app: which worker runs which stream, and when.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "front/concurrency_limit.h"
#include "front/wait_queue.h"

namespace onebox::front {

// Whether a worker is to be replaced, and how much of a hurry there is.
enum class Replacement : unsigned char { kNone, kAfterItsRequests, kAtOnce };

// What all reactors know of one app worker process. Its numbers belong to Dispatch.
struct AppWorker {
  std::uint32_t number = 0;  // the supervisor's, unique among the living
  std::int32_t pid = 0;
  std::uint32_t app = 0;  // one of Settings::apps
  std::uint32_t threads = 0;
  std::uint32_t ahead_max = 0;  // requests that it may be given beyond its threads
  std::uint32_t busy = 0;
  std::uint32_t reactors = 0;                    // that have a channel to it; usable when all have
  std::uint32_t suspended = 0;                   // reactors that it takes nothing from
  std::uint32_t for_nobody = 0;                  // threads that work for nobody, for too long
  bool leaving = false;                          // drains, or is dead
  Time left_at{};                                // when a place was given back last
  bool busy_since = false;                       // others were taken at that moment
  Duration pace{};                               // between two such moments, smoothed
  std::uint64_t served = 0;                      // places that were given back
  std::uint64_t served_max = 0;                  // then it is to be replaced; 0: never
  Replacement replacement = Replacement::kNone;  // as the supervisor was told
};

// Shared by all reactors; each call is short and takes one lock. A place is one thread of a worker:
// who is given one (Enter, TakeGrant) gives it back (Leave). WaitQueue says who is next.
//
// Where all threads are taken, a worker that ends requests fast has a few places more: what waits in
// its channel when a thread is free saves both sides a sleep. Only as many as it ends within kWait;
// what it has not begun long after that is to be taken back (TakeBack).
class Dispatch {
 public:
  using Worker = std::shared_ptr<AppWorker>;
  // kHopeless: it would wait for longer than it may, at the pace of now.
  enum class Entered : unsigned char { kPlace, kQueued, kFull, kRouteFull, kClientFull, kHopeless };
  enum class Position : unsigned char { kBack, kFront };  // front: it had its turn and lost it

  // What may be shown of it.
  struct Now {
    std::size_t queued = 0;      // requests that wait
    std::uint32_t busy = 0;      // threads that run one
    std::uint32_t limit = 0;     // requests that may run at once
    std::uint64_t answered = 0;  // requests that it has answered
  };
  struct Options {
    std::uint32_t app = 0;  // of its workers
    std::uint32_t reactors = 1;
    WaitQueue::Options queue;
    ConcurrencySettings concurrency;
    // Requests after which a worker is to be replaced, and up to how many more by chance; 0: never.
    std::uint64_t recycle_requests = 0;
    std::uint64_t recycle_jitter = 0;
    // Called without the lock, from the thread whose call freed a place: that reactor has grants.
    std::function<void(std::uint32_t reactor)> wake;
    // Called with the lock, one call at a time, when one of these numbers may have changed.
    std::function<void(const Now&)> changed = {};
    // Called without the lock, once for each worker that is to be replaced.
    std::function<void(const AppWorker&)> spent = {};
  };
  explicit Dispatch(Options options);

  Now Seen() const;

  // One reactor has a channel to the worker; the same object is given to each reactor. Usable when
  // all reactors have one.
  struct Capacity {
    std::uint32_t threads = 0;
    std::uint32_t ahead_max = 0;
  };
  Worker Join(std::uint32_t number, std::int32_t pid, const Capacity& capacity, Time now);
  void Suspend(const Worker& worker);
  void Resume(const Worker& worker, Time now);
  void Retire(const Worker& worker);  // no new streams; for good
  void Retire(std::uint32_t number);  // the same, where there is such a worker
  // One reactor knows of so many more threads, or fewer, that work for nobody for too long; how many
  // all reactors know of.
  std::uint32_t AddForNobody(const Worker& worker, std::int32_t change);
  // True for the first reactor that asks for it, or for more than was asked before.
  bool AskFor(Replacement replacement, const Worker& worker);

  // A place at once (`place` is set), a place in the queue, or neither.
  Entered Enter(Ticket& ticket, Position position, Time now, Place& place);
  // The next grant of that reactor's streams; null where there is none.
  Ticket* TakeGrant(std::uint32_t reactor, Place& place);
  void Cancel(Ticket& ticket, Time now);  // wherever it is; a grant goes to the next
  void Leave(const Place& place, Time now);

  // When one who is refused may come again: those that wait now are served by then.
  std::chrono::seconds RetryAfter(const Ticket& ticket, Entered refused, Time now) const;
  static constexpr std::chrono::seconds kRetryAfterMax{60};

  static constexpr Duration kWait = std::chrono::milliseconds(1);
  // Whether more is with the worker than it has threads.
  bool IsAhead(const Worker& worker) const;
  // Gives back the place of a request that it has not begun, and gives it none ahead for a while.
  void TakeBack(const Place& place, Time now);

 private:
  using ReactorBits = std::uint64_t;

  static bool Usable(const AppWorker& worker, std::uint32_t reactors);
  static std::uint32_t AheadOf(const AppWorker& worker);
  std::uint32_t Limit() const;
  void CountPlaces();
  Worker FreeWorker() const;
  std::uint64_t ServedMax() const;
  void Give(const Worker& worker, Ticket& ticket, Time now, Place& place);
  void GiveBack(const Place& place);
  bool IsHopeless(const Ticket& ticket, Time now);
  ReactorBits GrantFreed(Time now);
  Now Count() const;
  void Tell() const;
  void Wake(ReactorBits reactors) const;

  const Options options_;
  mutable std::mutex mutex_;  // guards all below, and the numbers of the workers
  std::vector<Worker> workers_;
  WaitQueue queue_;
  std::vector<TicketList> grants_;  // by reactor
  std::uint32_t busy_ = 0;          // places that are taken, of all workers
  std::uint32_t places_ = 0;        // threads of all workers
  std::uint64_t answered_ = 0;      // requests
  ConcurrencyLimit adaptive_;
};

}  // namespace onebox::front
