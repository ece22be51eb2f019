#pragma once
// The life of the front's process.

#include <functional>
#include <string>

#include "base/clock.h"
#include "front/settings.h"
#include "supervise/heritage.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace onebox::main {

// Lanes of the metrics: the supervisor's, then those of the fronts.
inline constexpr std::size_t kFirstLane = 1;

// Where the front's log goes.
struct FrontLog {
  std::string path;
  telemetry::LogLevel level;
};

// Serves until the supervisor says drain, or is gone. `more_metrics`: what /metrics says besides. The
// exit status.
int RunFront(const front::Settings& settings,
             const FrontLog& log,
             const Clock& clock,
             telemetry::Metrics& metrics,
             std::function<std::string()> more_metrics,
             supervise::FrontHeritage heritage);

}  // namespace onebox::main
