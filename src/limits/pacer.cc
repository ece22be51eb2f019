#include "limits/pacer.h"

#include <algorithm>

#include "base/check.h"

namespace onebox::limits {
namespace {

constexpr std::uint64_t kRateMax = std::uint64_t{1} << 40;  // so that nothing below overflows
constexpr std::uint64_t kPortionsPerSecond = 8;

Duration TimeFor(std::uint64_t bytes, std::uint64_t rate) {
  return std::chrono::microseconds((bytes * 1'000'000 + rate - 1) / rate);
}

}  // namespace

Pacer::Pacer(const Pace& pace, Time now)
    : rate_(std::min(pace.bytes_per_second, kRateMax)), free_(pace.after), filled_(now) {
  CHECK(rate_ > 0);
  tokens_ = portion();
}

std::uint64_t Pacer::portion() const {
  return std::max<std::uint64_t>(rate_ / kPortionsPerSecond, 1);
}

std::uint64_t Pacer::Allowance(Time now) {
  const std::uint64_t bucket = 2 * portion();
  if (now > filled_) {
    const Duration passed = std::min<Duration>(now - filled_, TimeFor(bucket, rate_));
    const auto microseconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(passed).count());
    const std::uint64_t come = rate_ * microseconds / 1'000'000;
    // What has come of a byte stays: the time of a whole number of bytes has passed.
    if (come > 0) filled_ = tokens_ + come >= bucket ? now : filled_ + TimeFor(come, rate_);
    tokens_ = std::min(tokens_ + come, bucket);
  }
  return free_ + (tokens_ >= portion() ? tokens_ : 0);
}

void Pacer::Sent(std::uint64_t bytes) {
  const std::uint64_t of_free = std::min(bytes, free_);
  free_ -= of_free;
  tokens_ -= std::min(bytes - of_free, tokens_);
}

Time Pacer::Ready() const {
  if (free_ > 0 || tokens_ >= portion()) return filled_;
  return filled_ + TimeFor(portion() - tokens_, rate_);
}

}  // namespace onebox::limits
