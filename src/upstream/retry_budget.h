#pragma once
// How many requests may be given to a second server, so that trouble does not double the load.

#include <array>
#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace onebox::upstream {

// Of the last ten seconds: a fifth of the requests, and a few a second where there are hardly any.
// Shared by all threads. What never reached a server is no retry here.
class RetryBudget {
 public:
  static constexpr std::uint32_t kPercent = 20;
  static constexpr std::uint32_t kPerSecondMin = 10;

  void CountRequest(Time now);
  // Whether there is one left; then it is taken.
  [[nodiscard]] bool Take(Time now);

 private:
  static constexpr std::size_t kSeconds = 10;
  struct Second {
    std::int64_t number = -1;
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
  };
  Second& At(Time now);

  std::mutex mutex_;
  std::array<Second, kSeconds> seconds_;
};

}  // namespace onebox::upstream
