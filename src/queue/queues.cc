#include "queue/queues.h"

#include <chrono>
#include <numeric>

#include "base/check.h"

namespace onebox::queue {
namespace {

constexpr Duration kMinute = std::chrono::minutes(1);

std::int64_t MinuteOf(WallTime time) {
  return time.time_since_epoch() / kMinute;
}

}  // namespace

void Counts::Add(const TaskRow& row, std::uint64_t tasks, std::uint64_t payload_bytes) {
  if (std::uint64_t* const count = CountOf(row)) *count += tasks;
  if (row.state < kFirstEnded) bytes += payload_bytes;
}

void Counts::Take(const TaskRow& row) {
  if (std::uint64_t* const count = CountOf(row)) --*count;
  if (row.state < kFirstEnded) bytes -= row.bytes;
}

std::uint64_t* Counts::CountOf(const TaskRow& row) {
  switch (row.state) {
    case State::kHeld:
      return &held;
    case State::kWaiting:
      return &waiting[static_cast<std::size_t>(row.priority)];
    case State::kRunning:
      return &running;
    case State::kDead:
      return &dead;
    default:
      return nullptr;  // those that have ended well are not counted
  }
}

std::uint64_t Counts::waiting_all() const {
  return std::accumulate(waiting.begin(), waiting.end(), std::uint64_t{0});
}

void Counts::Done(WallTime now) {
  const std::int64_t this_minute = MinuteOf(now);
  if (this_minute != minute) {
    done_before = this_minute == minute + 1 ? done_in_minute : 0;
    done_in_minute = 0;
    minute = this_minute;
  }
  ++done_in_minute;
  ++done_total;
}

// All of this minute, and of the one before the part that a whole minute ago is still to come.
double Counts::DonePerMinute(WallTime now) const {
  const std::int64_t this_minute = MinuteOf(now);
  const std::uint64_t present = this_minute == minute ? done_in_minute : 0;
  const std::uint64_t before = this_minute == minute       ? done_before
                               : this_minute == minute + 1 ? done_in_minute
                                                           : 0;
  const Duration into = now.time_since_epoch() % kMinute;
  const double left = 1 - static_cast<double>(into.count()) / static_cast<double>(kMinute.count());
  return static_cast<double>(present) + left * static_cast<double>(before);
}

Queue* Queues::Find(std::string_view name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

const Queue* Queues::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

const Queue* Queues::FindById(std::int64_t id) const {
  if (id < 1 || static_cast<std::size_t>(id) > by_id_.size()) return nullptr;
  return by_id_[static_cast<std::size_t>(id) - 1].get();
}

bool Queues::Load(std::int64_t id, std::string_view name, QueueFigures::Paused paused) {
  if (id != static_cast<std::int64_t>(by_id_.size()) + 1 || Find(name) != nullptr) return false;
  Queue& queue = Add(name);
  queue.paused = paused;
  Keep();
  return true;
}

Queue& Queues::Add(std::string_view name) {
  CHECK(Find(name) == nullptr);
  auto added = std::make_unique<Queue>();
  Queue& queue = *added;
  queue.id = static_cast<std::int64_t>(by_id_.size()) + 1;
  queue.name = name;
  queue.touched_ = Queue::Touched::kAdded;
  by_id_.push_back(std::move(added));
  by_name_.emplace(queue.name, &queue);
  touched_.push_back(&queue);
  return queue;
}

Queue& Queues::ToChange(std::int64_t id) {
  CHECK(FindById(id) != nullptr);
  Queue& queue = *by_id_[static_cast<std::size_t>(id) - 1];
  if (queue.touched_ == Queue::Touched::kNo) {
    queue.touched_ = Queue::Touched::kYes;
    touched_.push_back(&queue);
  }
  return queue;
}

void Queues::Keep() {
  for (Queue* const queue : touched_) {
    queue->kept_ = queue->counts;
    queue->kept_paused_ = queue->paused;
    queue->touched_ = Queue::Touched::kNo;
  }
  touched_.clear();
}

void Queues::Undo() {
  for (Queue* const queue : touched_) {
    queue->counts = queue->kept_;
    queue->paused = queue->kept_paused_;
    if (queue->touched_ == Queue::Touched::kAdded) by_name_.erase(queue->name);
    queue->touched_ = Queue::Touched::kNo;
  }
  // Those that were added are the last: ids are given in order.
  while (!by_id_.empty() && by_name_.count(by_id_.back()->name) == 0) {
    by_id_.pop_back();
  }
  touched_.clear();
}

}  // namespace onebox::queue
