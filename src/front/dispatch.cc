#include "front/dispatch.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace onebox::front {

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

Dispatch::Worker Dispatch::FreeWorker() const {
  // The one with the most free threads: work spreads over processes before it fills one.
  const Worker* best = nullptr;
  for (const Worker& worker : workers_) {
    if (!Usable(*worker, options_.reactors) || worker->busy >= worker->threads) continue;
    if (best == nullptr || worker->threads - worker->busy > (*best)->threads - (*best)->busy) {
      best = &worker;
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

void Dispatch::Tell() const {
  if (options_.changed) options_.changed(queue_.size(), busy_);
}

void Dispatch::Wake(const std::vector<std::uint32_t>& reactors) {
  for (const std::uint32_t reactor : reactors)
    options_.wake(reactor);
}

Dispatch::Worker Dispatch::Join(std::uint32_t number, std::int32_t pid, std::uint32_t threads) {
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
      joined =
          std::make_shared<AppWorker>(AppWorker{.number = number, .pid = pid, .threads = threads});
      workers_.push_back(joined);
    }
    ++joined->reactors;
    granted = GrantFreed();
  }
  Wake(granted);
  return joined;
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

void Dispatch::Leave(const Worker& worker) {
  std::vector<std::uint32_t> granted;
  {
    const std::lock_guard lock(mutex_);
    CHECK(worker->busy > 0);
    --worker->busy;
    --busy_;
    granted = GrantFreed();
  }
  Wake(granted);
}

}  // namespace onebox::front
