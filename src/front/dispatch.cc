#include "front/dispatch.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "os/random.h"

namespace onebox::front {
namespace {

// Of a worker of which nothing is known, or nothing good: it takes dozens of fast requests to be
// given some ahead.
constexpr Duration kSlowPace = std::chrono::milliseconds(10);

}  // namespace

void TicketList::PushBack(Ticket& ticket) {
  ticket.previous_ = last_;
  ticket.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &ticket;
  last_ = &ticket;
  ++size_;
}

void TicketList::PushFront(Ticket& ticket) {
  ticket.next_ = first_;
  ticket.previous_ = nullptr;
  (first_ != nullptr ? first_->previous_ : last_) = &ticket;
  first_ = &ticket;
  ++size_;
}

void TicketList::Remove(Ticket& ticket) {
  (ticket.previous_ != nullptr ? ticket.previous_->next_ : first_) = ticket.next_;
  (ticket.next_ != nullptr ? ticket.next_->previous_ : last_) = ticket.previous_;
  ticket.previous_ = ticket.next_ = nullptr;
  --size_;
}

Dispatch::Dispatch(Options options) : options_(std::move(options)), grants_(options_.reactors) {}

bool Dispatch::Usable(const AppWorker& worker, std::uint32_t reactors) {
  return worker.reactors == reactors && worker.suspended == 0 && !worker.leaving;
}

std::uint32_t Dispatch::AheadOf(const AppWorker& worker) {
  if (worker.pace <= kWait / 64) return worker.ahead_max;
  const auto in_time = static_cast<std::uint32_t>(kWait / worker.pace);
  return in_time < 2 ? 0 : std::min(in_time, worker.ahead_max);
}

// The one with the most free threads: work spreads over processes before it fills one. Where no
// thread is free, the one with the most places ahead.
Dispatch::Worker Dispatch::FreeWorker() const {
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

std::vector<std::uint32_t> Dispatch::GrantFreed() {
  std::vector<std::uint32_t> reactors;
  while (!queue_.empty()) {
    Worker worker = FreeWorker();
    if (worker == nullptr) break;
    ++worker->busy;
    ++busy_;
    Ticket& ticket = *queue_.first();
    queue_.Remove(ticket);
    ticket.granted_ = std::move(worker);
    ticket.at_ = Ticket::At::kGrants;
    grants_[ticket.reactor].PushBack(ticket);
    reactors.push_back(ticket.reactor);
  }
  Tell();
  return reactors;
}

// What was given ahead waits too, wherever it lies.
void Dispatch::Tell() const {
  if (!options_.changed) return;
  std::uint32_t ahead = 0;
  for (const Worker& worker : workers_) {
    ahead += worker->busy > worker->threads ? worker->busy - worker->threads : 0;
  }
  options_.changed(queue_.size() + ahead, busy_ - ahead);
}

void Dispatch::Wake(const std::vector<std::uint32_t>& reactors) {
  for (const std::uint32_t reactor : reactors)
    options_.wake(reactor);
}

Dispatch::Worker Dispatch::Join(std::uint32_t number, std::int32_t pid, const Capacity& capacity) {
  Worker joined;
  std::vector<std::uint32_t> granted;
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
                                                     .threads = capacity.threads,
                                                     .ahead_max = capacity.ahead_max,
                                                     .pace = kSlowPace,
                                                     .served_max = ServedMax()});
      workers_.push_back(joined);
    }
    ++joined->reactors;
    granted = GrantFreed();
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

void Dispatch::Resume(const Worker& worker) {
  std::vector<std::uint32_t> granted;
  {
    const std::lock_guard lock(mutex_);
    --worker->suspended;
    granted = GrantFreed();
  }
  Wake(granted);
}

void Dispatch::Retire(const Worker& worker) {
  const std::lock_guard lock(mutex_);
  worker->leaving = true;
  std::erase(workers_, worker);
}

void Dispatch::Retire(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  std::erase_if(workers_, [number](const Worker& worker) {
    if (worker->number != number) return false;
    worker->leaving = true;
    return true;
  });
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

Dispatch::Entered Dispatch::Enter(Ticket& ticket, Position position, Worker& worker) {
  const std::lock_guard lock(mutex_);
  CHECK(ticket.at_ == Ticket::At::kNowhere);
  if (queue_.empty() || position == Position::kFront) {
    worker = FreeWorker();
    if (worker != nullptr) {
      ++worker->busy;
      ++busy_;
      Tell();
      return Entered::kPlace;
    }
  }
  if (position == Position::kFront) {
    queue_.PushFront(ticket);
  } else {
    if (queue_.size() >= options_.queue_max) return Entered::kFull;
    queue_.PushBack(ticket);
  }
  ticket.at_ = Ticket::At::kQueue;
  Tell();
  return Entered::kQueued;
}

Ticket* Dispatch::TakeGrant(std::uint32_t reactor, Worker& worker) {
  const std::lock_guard lock(mutex_);
  TicketList& grants = grants_[reactor];
  if (grants.empty()) return nullptr;
  Ticket* const ticket = grants.first();
  grants.Remove(*ticket);
  ticket->at_ = Ticket::At::kNowhere;
  worker = std::move(ticket->granted_);
  return ticket;
}

void Dispatch::Cancel(Ticket& ticket) {
  std::vector<std::uint32_t> granted;
  {
    const std::lock_guard lock(mutex_);
    if (ticket.at_ == Ticket::At::kQueue) {
      queue_.Remove(ticket);
      Tell();
    }
    if (ticket.at_ == Ticket::At::kGrants) {
      grants_[ticket.reactor].Remove(ticket);
      --ticket.granted_->busy;
      --busy_;
      ticket.granted_ = nullptr;
      granted = GrantFreed();
    }
    ticket.at_ = Ticket::At::kNowhere;
  }
  Wake(granted);
}

void Dispatch::GiveBack(AppWorker& worker) {
  CHECK(worker.busy > 0);
  --worker.busy;
  --busy_;
}

void Dispatch::Leave(const Worker& worker, Time now) {
  std::vector<std::uint32_t> granted;
  bool spent = false;
  {
    const std::lock_guard lock(mutex_);
    GiveBack(*worker);
    spent = ++worker->served == worker->served_max;
    if (worker->busy_since) worker->pace += (now - worker->left_at - worker->pace) / 16;
    worker->left_at = now;
    granted = GrantFreed();
    worker->busy_since = worker->busy > 0;
  }
  Wake(granted);
  if (spent) options_.spent(*worker);
}

bool Dispatch::IsAhead(const Worker& worker) const {
  const std::lock_guard lock(mutex_);
  return worker->busy > worker->threads;
}

void Dispatch::TakeBack(const Worker& worker) {
  std::vector<std::uint32_t> granted;
  {
    const std::lock_guard lock(mutex_);
    GiveBack(*worker);
    worker->pace = kSlowPace;
    worker->busy_since = false;
    granted = GrantFreed();
  }
  Wake(granted);
}

}  // namespace onebox::front
