#pragma once
// How long to leave alone what does not answer.

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace onebox {

// Pauses that double, each drawn from the half of it to the whole: those who lost the same server at the
// same moment do not come back to it at one.
class Backoff {
 public:
  struct Options {
    Duration min = std::chrono::milliseconds(50);
    Duration max = std::chrono::seconds(5);
  };
  explicit Backoff(const Options& options) : options_(options), whole_(options.min) {}

  // The pause before the next try; `random`: any number.
  Duration Next(std::uint64_t random) {
    const auto half = static_cast<std::uint64_t>(whole_.count()) / 2;
    const Duration pause(static_cast<Duration::rep>(half + random % (half + 1)));
    whole_ = std::min(whole_ * 2, options_.max);
    return pause;
  }
  // After a success.
  void Reset() { whole_ = options_.min; }

 private:
  Options options_;
  Duration whole_;
};

}  // namespace onebox
