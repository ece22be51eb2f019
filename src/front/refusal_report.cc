#include "front/refusal_report.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace onebox::front {

RefusalReport::RefusalReport(const telemetry::Metrics& metrics, Time now)
    : metrics_(metrics), told_(Read()), told_at_(now - kPause) {}

RefusalReport::Counts RefusalReport::Read() const {
  Counts counts{};
  std::transform(kLimits.begin(), kLimits.end(), counts.begin(), [this](telemetry::Limit limit) {
    return metrics_.Sum(limit);
  });
  return counts;
}

std::string RefusalReport::Take(Time now) {
  if (now - told_at_ < kPause) return {};
  const Counts counts = Read();
  std::uint64_t all = 0;
  std::string parts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t refused = counts[i] - told_[i];
    if (refused == 0) continue;
    all += refused;
    parts += fmt::format("{}{} {}",
                         parts.empty() ? "" : ", ",
                         telemetry::kLimitNames[static_cast<std::size_t>(kLimits[i])],
                         refused);
  }
  if (all == 0) return {};
  told_ = counts;
  told_at_ = now;
  return fmt::format("{} refused for want of room since the last such line ({})", all, parts);
}

}  // namespace onebox::front
