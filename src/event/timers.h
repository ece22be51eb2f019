#pragma once
// Timers that cost nothing to arm and to move: a two-level wheel of intrusive lists.

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace onebox::event {

class Timers;

// A member, or a base, of what waits; gone with it. Fires once, at most kTick late and never early.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return next_ != nullptr; }

 protected:
  virtual ~Timer();
  // May arm itself again, or destroy itself.
  virtual void OnTimer() = 0;

 private:
  friend class Timers;
  void Unlink();

  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;  // null: not armed
  std::uint64_t tick_ = 0;
};

// Calls a method of its owner, whose member it is: CallTimer<&Shard::OnTick> tick_{*this}.
template <auto kMethod>
class CallTimer;
template <typename Owner, void (Owner::*kMethod)()>
class CallTimer<kMethod> final : public Timer {
 public:
  explicit CallTimer(Owner& owner) : owner_(owner) {}

 private:
  void OnTimer() override { (owner_.*kMethod)(); }

  Owner& owner_;
};

// Has no clock: the reactor asks for the next deadline, sleeps, and tells the time.
class Timers {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(4);

  explicit Timers(Time now);
  ~Timers();  // what is still armed is disarmed

  // Arms, or moves what is armed. A deadline that has passed fires at the next AdvanceTo().
  void Arm(Timer& timer, Time deadline);
  void Disarm(Timer& timer) { timer.Unlink(); }

  // No timer is due before it; nothing where none is armed.
  std::optional<Time> NextDeadline() const;

  // Fires what is due. Timers armed meanwhile fire at the next call at the earliest.
  void AdvanceTo(Time now);

 private:
  static constexpr std::size_t kSlots = 256;
  class List final : public Timer {  // its links are a ring's head
   public:
    List();
    void OnTimer() override {}
  };
  using Wheel = std::array<List, kSlots>;

  std::uint64_t TickOf(Time time) const;
  void Link(List& list, Timer& timer);
  void Place(Timer& timer);
  void Fire(List& list, std::uint64_t tick);
  void Cascade(List& list);

  const Time start_;
  std::uint64_t now_ = 0;  // in ticks since start_; all before are fired
  Wheel fine_;             // a slot a tick
  Wheel coarse_;           // a slot for kSlots ticks; those beyond the wheel stay for another turn
};

}  // namespace onebox::event
