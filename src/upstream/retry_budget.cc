#include "upstream/retry_budget.h"

#include <algorithm>

namespace onebox::upstream {
namespace {

std::int64_t NumberOf(Time now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

}  // namespace

RetryBudget::Second& RetryBudget::At(Time now) {
  const std::int64_t number = NumberOf(now);
  Second& second = seconds_[static_cast<std::size_t>(number) % kSeconds];
  if (second.number != number) second = {.number = number};
  return second;
}

void RetryBudget::CountRequest(Time now) {
  const std::lock_guard lock(mutex_);
  ++At(now).requests;
}

bool RetryBudget::Take(Time now) {
  const std::lock_guard lock(mutex_);
  Second& current = At(now);
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;
  for (const Second& second : seconds_) {
    if (second.number <= NumberOf(now) - static_cast<std::int64_t>(kSeconds)) continue;
    requests += second.requests;
    retries += second.retries;
  }
  const std::uint64_t allowed =
      std::max<std::uint64_t>(requests * kPercent / 100, kPerSecondMin * kSeconds);
  if (retries >= allowed) return false;
  ++current.retries;
  return true;
}

}  // namespace onebox::upstream
