#pragma once
// RefusalReport: what the box was too small for, as a line for the log now and then.

#include <array>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics.h"

namespace onebox::front {

// Reads the counters of all reactors. What clients do wrong is not its matter, nor what has a line of
// its own.
class RefusalReport {
 public:
  static constexpr Duration kPause = std::chrono::seconds(10);  // from one line to the next
  static constexpr std::array kLimits = {
      telemetry::Limit::kQueue,
      telemetry::Limit::kQueueTimeout,
      telemetry::Limit::kHopeless,
      telemetry::Limit::kRouteQueue,
      telemetry::Limit::kAddressShare,
      telemetry::Limit::kConnections,
      telemetry::Limit::kConnectionsPerAddress,
      telemetry::Limit::kBufferBytes,
      telemetry::Limit::kSpool,
  };

  // What was counted before is nobody's news. `metrics` outlives it.
  RefusalReport(const telemetry::Metrics& metrics, Time now);

  // Asked about once a second: a line of what was refused since the last one, or nothing.
  std::string Take(Time now);

 private:
  using Counts = std::array<std::uint64_t, kLimits.size()>;
  Counts Read() const;

  const telemetry::Metrics& metrics_;
  Counts told_;
  Time told_at_;
};

}  // namespace onebox::front
