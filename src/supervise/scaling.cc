#include "supervise/scaling.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace onebox::supervise {
namespace {

constexpr double kSmoothing = 0.3;  // a change shows almost whole after ten seconds
constexpr double kIdleShare = 0.5;  // one fewer would still have half of its threads free

}  // namespace

void Scaling::Measure(const Load& load, Time now) {
  const double seconds = std::chrono::duration<double>(now - taken_at_).count();
  if (taken_at_ == Time{}) {
    changed_at_ = busy_at_ = now;
  } else if (seconds > 0) {
    const double rate = static_cast<double>(load.requests - requests_then_) / seconds;
    rate_ += (rate - rate_) * kSmoothing;
  }
  taken_at_ = now;
  requests_then_ = load.requests;
}

void Scaling::Change(unsigned to, Time now, std::string reason) {
  wanted_ = to;
  reason_ = std::move(reason);
  waits_ = 0;
  changed_at_ = now;
  busy_at_ = now;
}

// One more was given its time: does it show?
void Scaling::Judge(const Load& load, Time now) {
  on_trial_ = false;
  // Where nothing waits any more there was no more to do: it has helped.
  if (load.waiting == 0 || rate_ >= rate_before_ * kHelpMin) return;
  pause_until_ = now + kNoHelpPause;
  Change(wanted_ - 1,
         now,
         fmt::format("{} did not answer more than {}: {:.0f} requests a second against {:.0f}",
                     wanted_,
                     wanted_ - 1,
                     rate_,
                     rate_before_));
}

// Whether the hour has decided: it asks for more than there are, or for more no longer. Step by step
// too, and as fast as workers come to serve.
bool Scaling::FollowClock(const Load& load, Time now) {
  const unsigned most = std::max(limits_.max, load.by_clock);
  if (!load.settled) return false;
  if (wanted_ < load.by_clock && !load.memory_allows) {
    reason_ = fmt::format("{}, and memory has no room for more", load.clock_reason);
    return true;
  }
  if (wanted_ < load.by_clock) {
    Change(wanted_ + 1, now, std::string(load.clock_reason));
  } else if (wanted_ > most) {
    Change(wanted_ - 1, now, "the peak hours are over");
  } else {
    return false;
  }
  on_trial_ = false;
  return true;
}

void Scaling::Take(const Load& load, Time now) {
  if (FollowClock(load, now) || limits_.fixed()) return;
  Measure(load, now);
  waits_ = load.waiting > 0 ? waits_ + 1 : 0;
  const auto without_one = static_cast<double>((wanted_ - 1) * load.threads);
  if (load.waiting > 0 || static_cast<double>(load.busy) > without_one * kIdleShare) busy_at_ = now;
  if (!load.settled) {  // what is not there yet shows nothing
    changed_at_ = now;
    return;
  }
  if (now - changed_at_ < kJudgeTime) return;
  if (on_trial_) {
    Judge(load, now);
  } else if (waits_ >= kWaitsMin && wanted_ < limits_.max && now >= pause_until_ &&
             load.cpu_idle >= kCpuIdleMin) {
    Grow(load, now);
  } else if (now - busy_at_ >= kIdleTime && wanted_ > std::max(limits_.min, load.by_clock)) {
    Change(wanted_ - 1, now, "fewer than half of the threads were busy for minutes");
  }
}

void Scaling::Grow(const Load& load, Time now) {
  if (!load.memory_allows) {
    reason_ = fmt::format("requests wait, and memory has no room for more than {}", wanted_);
    return;
  }
  rate_before_ = rate_;
  on_trial_ = true;
  Change(wanted_ + 1,
         now,
         fmt::format("requests waited while {:.0f} % of the CPU was idle", load.cpu_idle * 100));
}

}  // namespace onebox::supervise
