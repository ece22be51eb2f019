#include "upstream/health.h"

#include <algorithm>

namespace onebox::upstream {

std::string_view NameOf(ServerState state) {
  switch (state) {
    case ServerState::kUp:
      return "up";
    case ServerState::kPaused:
      return "paused";
    case ServerState::kDown:
      return "down";
  }
  return "";
}

ServerState Health::StateAt(Time now) const {
  if (down_.load(std::memory_order_relaxed)) return ServerState::kDown;
  return now < paused_until() ? ServerState::kPaused : ServerState::kUp;
}

std::uint32_t Health::ShareAt(Time now) const {
  constexpr std::uint32_t kWhole = 1000;
  constexpr std::uint32_t kLeast = 50;  // or it would never be seen to work
  if (settings_.slow_start <= Duration(0)) return kWhole;
  const Duration::rep back = back_since_.load(std::memory_order_relaxed);
  if (back == INT64_MIN) return kWhole;
  const Duration since = now.time_since_epoch() - Duration(back);
  if (since >= settings_.slow_start) return kWhole;
  const auto share =
      static_cast<std::uint32_t>(std::max(since, Duration(0)).count() /
                                 std::max<Duration::rep>(settings_.slow_start.count() / kWhole, 1));
  return std::clamp(share, kLeast, kWhole);
}

void Health::Recover() {
  const std::lock_guard lock(mutex_);
  failures_ = 0;
  on_trial_ = false;
  pause_.Reset();
  troubled_.store(false, std::memory_order_relaxed);
}

bool Health::Failed(Time now) {
  if (settings_.fails_max == 0) return false;
  const std::lock_guard lock(mutex_);
  troubled_.store(true, std::memory_order_relaxed);
  if (now < paused_until()) return false;  // it was asked before that
  if (failures_ == 0 || now - first_failure_ > settings_.window) {
    first_failure_ = now;
    failures_ = 0;
  }
  ++failures_;
  return on_trial_ || failures_ >= settings_.fails_max;
}

void Health::Pause(Time now, std::uint64_t random) {
  const std::lock_guard lock(mutex_);
  const Time until = now + pause_.Next(random);
  paused_until_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  back_since_.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  failures_ = 0;
  on_trial_ = true;
}

bool Health::ProbeSucceeded(Time now) {
  if (!down_.exchange(false, std::memory_order_relaxed)) return false;
  back_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  paused_until_.store(0, std::memory_order_relaxed);
  Recover();
  return true;
}

bool Health::ProbeFailed() {
  return !down_.exchange(true, std::memory_order_relaxed);
}

}  // namespace onebox::upstream
