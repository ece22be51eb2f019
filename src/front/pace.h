#pragma once
// How slow a client may be: deadlines that move with what it has sent or taken.

#include <algorithm>
#include <cstdint>

#include "base/clock.h"
#include "front/output.h"
#include "front/settings.h"

namespace onebox::front {

// `begin`, later by the time that `bytes` may take at the lowest rate that is allowed.
inline Time AtRate(Time begin, std::uint64_t bytes, std::uint64_t rate_min) {
  if (rate_min == 0) return Time::max();
  constexpr std::uint64_t kSecondsMax = 1'000'000;
  const std::uint64_t milliseconds =
      std::min(bytes / rate_min, kSecondsMax) * 1000 + bytes % rate_min * 1000 / rate_min;
  return begin + std::chrono::milliseconds(milliseconds);
}

// Of a body that began at `begin` and whose last byte came at `progress`.
inline Time BodyDeadline(const Settings& settings, Time begin, Time progress, std::uint64_t bytes) {
  return std::min(progress + settings.body_timeout,
                  AtRate(begin + settings.body_timeout, bytes, settings.body_rate_min));
}

// Of an answer that waits for the client since output.since(), who took something at `progress` last.
inline Time WriteRateDeadline(const Settings& settings, const Output& output) {
  return AtRate(output.since() + settings.write_timeout, output.sent(), settings.write_rate_min);
}
inline Time WriteDeadline(const Settings& settings, const Output& output, Time progress) {
  return std::min(progress + settings.write_timeout, WriteRateDeadline(settings, output));
}

}  // namespace onebox::front
