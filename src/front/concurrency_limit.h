#pragma once
// How many requests may run at once, from how long they take.

#include <cstdint>

#include "base/clock.h"

namespace onebox::front {

// Gradient2 of Netflix' concurrency-limits (github.com/Netflix/concurrency-limits, Gradient2Limit):
// the latency of now is compared with that of a long time, and where it is worse by more than a
// tolerance the limit falls by the gradient of the two. The room for a queue, a root of the limit,
// lets it grow again. docs/decisions/0014-adaptive-concurrency.md says where this differs from it.
//
// Has no clock: every sample brings its time.
class ConcurrencyLimit {
 public:
  struct Sample {
    Duration latency{};         // from the place to the answer's head
    std::uint32_t running = 0;  // requests that ran when it ended, itself among them
    Time now{};
  };

  // The most that it may be. One that stands at the most follows it.
  void SetPlaces(std::uint32_t places);
  // Whether the limit has changed.
  bool Add(const Sample& sample);

  std::uint32_t limit() const { return limit_; }

  static constexpr Duration kWindow = std::chrono::milliseconds(100);  // with kSamples, or
  static constexpr Duration kWindowMax = std::chrono::seconds(1);      // with fewer
  static constexpr std::uint32_t kSamples = 10;
  static constexpr Duration kLongTime = std::chrono::minutes(5);
  static constexpr std::uint32_t kWarmup = 10;  // windows whose mean is the first long latency
  static constexpr double kTolerance = 1.5;     // worse by less is not seen
  static constexpr double kGradientMin = 0.5;   // one window takes no more than that
  static constexpr double kSmoothing = 0.2;     // the part of a window of kWindow in the new limit
  static constexpr std::uint32_t kPlacesPerMin = 8;  // never below an eighth of the places
  // Shorter latencies count as this one: a worker that is given requests ahead lets them wait longer.
  static constexpr Duration kLatencyMin = std::chrono::milliseconds(5);

 private:
  void EndWindow();

  std::uint32_t places_ = 0;
  std::uint32_t limit_ = 0;
  double estimate_ = 0;
  double long_latency_ = 0;  // in nanoseconds
  std::uint32_t windows_ = 0;

  // The window that is open; it has no samples before the first.
  Time begin_{};
  Time last_{};
  Duration sum_{};
  std::uint32_t samples_ = 0;
  std::uint32_t running_max_ = 0;
};

}  // namespace onebox::front
