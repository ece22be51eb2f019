#include "front/concurrency_limit.h"

#include <algorithm>
#include <cmath>

namespace onebox::front {

void ConcurrencyLimit::SetPlaces(std::uint32_t places) {
  const bool at_most = limit_ >= places_;
  places_ = places;
  if (at_most || estimate_ > places_) estimate_ = places_;
  limit_ = static_cast<std::uint32_t>(estimate_);
}

bool ConcurrencyLimit::Add(const Sample& sample) {
  if (samples_ == 0) {
    begin_ = sample.now;
    sum_ = {};
    running_max_ = 0;
  }
  ++samples_;
  sum_ += std::max(sample.latency, kLatencyMin);
  running_max_ = std::max(running_max_, sample.running);
  last_ = sample.now;
  const Duration open = last_ - begin_;
  if (open < kWindow || (samples_ < kSamples && open < kWindowMax)) return false;
  const std::uint32_t before = limit_;
  EndWindow();
  samples_ = 0;
  return limit_ != before;
}

void ConcurrencyLimit::EndWindow() {
  const double latency = static_cast<double>(sum_.count()) / samples_;
  const Duration open = std::min(last_ - begin_, kWindowMax);
  ++windows_;
  const double weight = windows_ <= kWarmup ? 1.0 / windows_
                                            : static_cast<double>(open.count()) /
                                                  static_cast<double>(Duration(kLongTime).count());
  long_latency_ += (latency - long_latency_) * weight;
  // After a long bad time the long latency is a bad one too; it need not take as long to forget it.
  if (long_latency_ > 2 * latency) long_latency_ *= 0.95;
  // Who asks for little says nothing about more.
  if (running_max_ < estimate_ / 2) return;
  const double gradient = std::clamp(kTolerance * long_latency_ / latency, kGradientMin, 1.0);
  // A window that was open for long, since little ended, counts as several.
  const double length =
      static_cast<double>(open.count()) / static_cast<double>(Duration(kWindow).count());
  const double smoothing = 1 - std::pow(1 - kSmoothing, length);
  const double wanted = estimate_ * gradient + std::sqrt(estimate_);
  const double least = std::ceil(static_cast<double>(places_) / kPlacesPerMin);
  estimate_ = std::clamp(estimate_ * (1 - smoothing) + wanted * smoothing,
                         std::min<double>(least, places_),
                         static_cast<double>(places_));
  limit_ = static_cast<std::uint32_t>(estimate_);
}

}  // namespace onebox::front
