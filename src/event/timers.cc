#include "event/timers.h"

#include <algorithm>

namespace onebox::event {

Timer::~Timer() {
  Unlink();
}

void Timer::Unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

Timers::List::List() {
  Timers::List* const self = this;
  self->Timer::previous_ = self;
  self->Timer::next_ = self;
}

Timers::Timers(Time now) : start_(now) {}

Timers::~Timers() {
  for (Wheel* wheel : {&fine_, &coarse_}) {
    for (List& list : *wheel) {
      Timer& head = list;
      while (head.next_ != &head)
        head.next_->Unlink();
    }
  }
}

std::uint64_t Timers::TickOf(Time time) const {
  if (time <= start_) return 0;
  // Rounded up: never early.
  return static_cast<std::uint64_t>((time - start_ + kTick - Duration(1)) / kTick);
}

void Timers::Link(List& list, Timer& timer) {
  Timer& head = list;
  timer.previous_ = head.previous_;
  timer.next_ = &head;
  head.previous_->next_ = &timer;
  head.previous_ = &timer;
}

void Timers::Place(Timer& timer) {
  if (timer.tick_ - now_ < kSlots) {
    Link(fine_[timer.tick_ % kSlots], timer);
  } else {
    Link(coarse_[timer.tick_ / kSlots % kSlots], timer);
  }
}

void Timers::Arm(Timer& timer, Time deadline) {
  timer.Unlink();
  timer.tick_ = std::max(TickOf(deadline), now_ + 1);
  Place(timer);
}

std::optional<Time> Timers::NextDeadline() const {
  const auto empty = [](const List& list) {
    const Timer& head = list;
    return head.next_ == &head;
  };
  const std::uint64_t turn = now_ / kSlots;
  std::optional<std::uint64_t> next;
  for (std::uint64_t tick = now_ + 1; tick < now_ + kSlots && !next; ++tick) {
    if (!empty(fine_[tick % kSlots])) next = tick;
  }
  for (std::uint64_t later = turn + 1; later <= turn + kSlots; ++later) {
    if (empty(coarse_[later % kSlots])) continue;
    next = std::min(next.value_or(later * kSlots), later * kSlots);
    break;
  }
  if (!next) return std::nullopt;
  return start_ + kTick * static_cast<std::int64_t>(*next);
}

void Timers::Fire(List& list, std::uint64_t tick) {
  Timer& head = list;
  List due;  // what is armed while firing stays out of it
  Timer& due_head = due;
  while (head.next_ != &head) {
    Timer& timer = *head.next_;
    timer.Unlink();
    Link(due, timer);
  }
  while (due_head.next_ != &due_head) {
    Timer& timer = *due_head.next_;
    timer.Unlink();
    if (timer.tick_ > tick) {
      Place(timer);
    } else {
      timer.OnTimer();
    }
  }
}

void Timers::Cascade(List& list) {
  List moved;
  Timer& head = list;
  Timer& moved_head = moved;
  while (head.next_ != &head) {
    Timer& timer = *head.next_;
    timer.Unlink();
    Link(moved, timer);
  }
  while (moved_head.next_ != &moved_head) {
    Timer& timer = *moved_head.next_;
    timer.Unlink();
    Place(timer);
  }
}

void Timers::AdvanceTo(Time now) {
  // Rounded down: a timer is due when its whole tick has passed.
  const std::uint64_t target =
      now <= start_ ? 0 : static_cast<std::uint64_t>((now - start_) / kTick);
  while (now_ < target) {
    ++now_;
    if (now_ % kSlots == 0) Cascade(coarse_[now_ / kSlots % kSlots]);
    Fire(fine_[now_ % kSlots], now_);
  }
}

}  // namespace onebox::event
