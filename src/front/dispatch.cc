#include "front/dispatch.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "os/random.h"

namespace onebox::front {
namespace {

// Of a worker of which nothing is known, or nothing good: it takes dozens of fast requests to be
// given some ahead.
constexpr Duration kSlowPace = std::chrono::milliseconds(10);

}  // namespace

Dispatch::Dispatch(Options options)
    : options_(std::move(options)), queue_(options_.queue), grants_(options_.reactors) {
  CHECK(options_.reactors <= std::numeric_limits<ReactorBits>::digits);
}

bool Dispatch::Usable(const AppWorker& worker, std::uint32_t reactors) {
  return worker.reactors == reactors && worker.suspended == 0 && !worker.leaving;
}

std::uint32_t Dispatch::AheadOf(const AppWorker& worker) {
  if (worker.pace <= kWait / 64) return worker.ahead_max;
  const auto in_time = static_cast<std::uint32_t>(kWait / worker.pace);
  return in_time < 2 ? 0 : std::min(in_time, worker.ahead_max);
}

std::uint32_t Dispatch::Limit() const {
  switch (options_.concurrency.kind) {
    case ConcurrencySettings::Kind::kAll:
      return places_;
    case ConcurrencySettings::Kind::kFixed:
      return std::min(options_.concurrency.count, places_);
    case ConcurrencySettings::Kind::kAuto:
      return adaptive_.limit();
  }
  CHECK(false);
}

// Suspended ones count: they come back, or are replaced by as many.
void Dispatch::CountPlaces() {
  places_ = 0;
  for (const Worker& worker : workers_) {
    if (worker->reactors == options_.reactors) places_ += worker->threads;
  }
  adaptive_.SetPlaces(places_);
  queue_.SetPlaces(Limit());
}

// The one with the most free threads: work spreads over processes before it fills one. Where no
// thread is free, the one with the most places ahead.
Dispatch::Worker Dispatch::FreeWorker() const {
  const std::uint32_t limit = Limit();
  if (limit < places_ && busy_ >= limit) return nullptr;
  const Worker* best = nullptr;
  std::int64_t best_room = 0;
  constexpr std::int64_t kThread = 1 << 20;  // a free thread goes before any place ahead
  for (const Worker& worker : workers_) {
    if (!Usable(*worker, options_.reactors)) continue;
    const std::int64_t free = std::int64_t{worker->threads} - worker->busy;
    const std::int64_t room = free > 0 ? free * kThread : free + AheadOf(*worker);
    if (room > best_room) {
      best = &worker;
      best_room = room;
    }
  }
  return best == nullptr ? nullptr : *best;
}

void Dispatch::Give(const Worker& worker, Ticket& ticket, Time now, Place& place) {
  ++worker->busy;
  ++busy_;
  queue_.Begin(ticket, place);
  place.worker = worker;
  place.since = now;
  place.answered = {};
}

void Dispatch::GiveBack(const Place& place) {
  CHECK(place.worker->busy > 0);
  --place.worker->busy;
  --busy_;
  queue_.End(place);
}

Dispatch::ReactorBits Dispatch::GrantFreed(Time now) {
  ReactorBits reactors = 0;
  while (queue_.size() > 0) {
    const Worker worker = FreeWorker();
    if (worker == nullptr) break;
    Ticket* const ticket = queue_.TakeNext();
    if (ticket == nullptr) break;
    Give(worker, *ticket, now, ticket->granted_);
    ticket->at_ = Ticket::At::kGrants;
    grants_[ticket->reactor].PushBack(*ticket);
    reactors |= ReactorBits{1} << ticket->reactor;
  }
  Tell();
  return reactors;
}

// What was given ahead waits too, wherever it lies.
Dispatch::Now Dispatch::Count() const {
  std::uint32_t ahead = 0;
  for (const Worker& worker : workers_) {
    ahead += worker->busy > worker->threads ? worker->busy - worker->threads : 0;
  }
  return {.queued = queue_.size() + ahead,
          .busy = busy_ - ahead,
          .limit = Limit(),
          .answered = answered_};
}

void Dispatch::Tell() const {
  if (options_.changed) options_.changed(Count());
}

Dispatch::Now Dispatch::Seen() const {
  const std::lock_guard lock(mutex_);
  return Count();
}

void Dispatch::Wake(ReactorBits reactors) const {
  for (std::uint32_t reactor = 0; reactors != 0; ++reactor, reactors >>= 1) {
    if ((reactors & 1) != 0) options_.wake(reactor);
  }
}

Dispatch::Worker Dispatch::Join(std::uint32_t number,
                                std::int32_t pid,
                                const Capacity& capacity,
                                Time now) {
  Worker joined;
  ReactorBits granted = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto known = std::find_if(workers_.begin(), workers_.end(), [&](const Worker& worker) {
      return worker->pid == pid && !worker->leaving;
    });
    if (known != workers_.end()) {
      joined = *known;
    } else {
      joined = std::make_shared<AppWorker>(AppWorker{.number = number,
                                                     .pid = pid,
                                                     .app = options_.app,
                                                     .threads = capacity.threads,
                                                     .ahead_max = capacity.ahead_max,
                                                     .pace = kSlowPace,
                                                     .served_max = ServedMax()});
      workers_.push_back(joined);
    }
    ++joined->reactors;
    CountPlaces();
    granted = GrantFreed(now);
  }
  Wake(granted);
  return joined;
}

// Not all at the same time.
std::uint64_t Dispatch::ServedMax() const {
  if (options_.recycle_requests == 0) return 0;
  return options_.recycle_requests + os::Random64() % (options_.recycle_jitter + 1);
}

void Dispatch::Suspend(const Worker& worker) {
  const std::lock_guard lock(mutex_);
  ++worker->suspended;
}

void Dispatch::Resume(const Worker& worker, Time now) {
  ReactorBits granted = 0;
  {
    const std::lock_guard lock(mutex_);
    --worker->suspended;
    granted = GrantFreed(now);
  }
  Wake(granted);
}

void Dispatch::Retire(const Worker& worker) {
  const std::lock_guard lock(mutex_);
  worker->leaving = true;
  std::erase(workers_, worker);
  CountPlaces();
  Tell();
}

void Dispatch::Retire(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  std::erase_if(workers_, [number](const Worker& worker) {
    if (worker->number != number) return false;
    worker->leaving = true;
    return true;
  });
  CountPlaces();
  Tell();
}

std::uint32_t Dispatch::AddForNobody(const Worker& worker, std::int32_t change) {
  const std::lock_guard lock(mutex_);
  worker->for_nobody += static_cast<std::uint32_t>(change);
  return worker->for_nobody;
}

bool Dispatch::AskFor(Replacement replacement, const Worker& worker) {
  const std::lock_guard lock(mutex_);
  if (replacement <= worker->replacement) return false;
  worker->replacement = replacement;
  return true;
}

// In time to be answered, not only to be begun.
bool Dispatch::IsHopeless(const Ticket& ticket, Time now) {
  if (options_.concurrency.kind != ConcurrencySettings::Kind::kAuto) return false;
  const RouteRules& rules = *queue_.RouteOf(ticket).rules;
  return queue_.WaitOf(ticket, now) > std::min(rules.queue_timeout, rules.timeout);
}

// Where a place is free, all who wait are of routes that are full: nobody is passed over.
Dispatch::Entered Dispatch::Enter(Ticket& ticket, Position position, Time now, Place& place) {
  const std::lock_guard lock(mutex_);
  CHECK(ticket.at_ == Ticket::At::kNowhere);
  if (WaitQueue::HasRoom(queue_.RouteOf(ticket))) {
    if (const Worker worker = FreeWorker()) {
      Give(worker, ticket, now, place);
      Tell();
      return Entered::kPlace;
    }
  }
  if (position == Position::kFront) {
    queue_.PushFront(ticket, now);
  } else {
    if (IsHopeless(ticket, now)) return Entered::kHopeless;
    switch (queue_.PushBack(ticket, now)) {
      case WaitQueue::Joined::kYes:
        break;
      case WaitQueue::Joined::kFull:
        return Entered::kFull;
      case WaitQueue::Joined::kRouteFull:
        return Entered::kRouteFull;
      case WaitQueue::Joined::kClientFull:
        return Entered::kClientFull;
    }
  }
  ticket.at_ = Ticket::At::kQueue;
  Tell();
  return Entered::kQueued;
}

Ticket* Dispatch::TakeGrant(std::uint32_t reactor, Place& place) {
  const std::lock_guard lock(mutex_);
  TicketList& grants = grants_[reactor];
  if (grants.empty()) return nullptr;
  Ticket* const ticket = grants.first();
  grants.Remove(*ticket);
  ticket->at_ = Ticket::At::kNowhere;
  place = std::move(ticket->granted_);
  return ticket;
}

void Dispatch::Cancel(Ticket& ticket, Time now) {
  ReactorBits granted = 0;
  {
    const std::lock_guard lock(mutex_);
    if (ticket.at_ == Ticket::At::kQueue) {
      queue_.Remove(ticket);
      Tell();
    }
    if (ticket.at_ == Ticket::At::kGrants) {
      grants_[ticket.reactor].Remove(ticket);
      GiveBack(std::exchange(ticket.granted_, {}));
      granted = GrantFreed(now);
    }
    ticket.at_ = Ticket::At::kNowhere;
  }
  Wake(granted);
}

void Dispatch::Leave(const Place& place, Time now) {
  ReactorBits granted = 0;
  bool spent = false;
  {
    const std::lock_guard lock(mutex_);
    AppWorker& worker = *place.worker;
    const std::uint32_t running = std::min(busy_, places_);
    GiveBack(place);
    if (place.answered != Time()) ++answered_;
    spent = ++worker.served == worker.served_max;
    if (worker.busy_since) worker.pace += (now - worker.left_at - worker.pace) / 16;
    worker.left_at = now;
    const bool adapts = options_.concurrency.kind == ConcurrencySettings::Kind::kAuto;
    if (adapts && place.answered != Time() &&
        adaptive_.Add({.latency = place.answered - place.since, .running = running, .now = now})) {
      queue_.SetPlaces(Limit());
    }
    granted = GrantFreed(now);
    worker.busy_since = worker.busy > 0;
    queue_.Paced(place, now);
  }
  Wake(granted);
  if (spent) options_.spent(*place.worker);
}

std::chrono::seconds Dispatch::RetryAfter(const Ticket& ticket, Entered refused, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto of = refused == Entered::kFull ? WaitQueue::Of::kAll : WaitQueue::Of::kRoute;
  const Duration wait = queue_.WaitForAll(queue_.RouteOf(ticket), of, now);
  return std::clamp(
      std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds(1), kRetryAfterMax);
}

bool Dispatch::IsAhead(const Worker& worker) const {
  const std::lock_guard lock(mutex_);
  return worker->busy > worker->threads;
}

void Dispatch::TakeBack(const Place& place, Time now) {
  ReactorBits granted = 0;
  {
    const std::lock_guard lock(mutex_);
    GiveBack(place);
    place.worker->pace = kSlowPace;
    place.worker->busy_since = false;
    granted = GrantFreed(now);
  }
  Wake(granted);
}

}  // namespace onebox::front
