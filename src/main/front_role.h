#pragma once
// The life of the front's process.

#include <string>

#include "base/clock.h"
#include "cache/cache.h"
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

// Serves until the supervisor says drain, or is gone; and hears from Redis what becomes of the cache. The
// exit status. `more_metrics`: what /metrics says besides front and cache.
int RunFront(const front::Settings& settings,
             const FrontLog& log,
             const Clock& clock,
             telemetry::Metrics& metrics,
             cache::Cache& cache,
             const std::function<std::string()>& more_metrics,
             supervise::FrontHeritage heritage);

}  // namespace onebox::main
