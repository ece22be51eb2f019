#include "main/front_role.h"

#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "front/front.h"
#include "main/cache_metrics.h"
#include "main/cache_tracker.h"
#include "os/process.h"

namespace onebox::main {

int RunFront(const front::Settings& settings,
             const FrontLog& log,
             const Clock& clock,
             telemetry::Metrics& metrics,
             cache::Cache& cache,
             const std::function<std::string()>& more_metrics,
             supervise::FrontHeritage heritage) {
  SetCrashRole("front");
  os::RaiseDescriptorLimit();
  const auto own_log =
      telemetry::Log::Open(clock, {.role = "front", .path = log.path, .level = log.level});
  if (!own_log.ok()) {  // the supervisor could open it, but we may be another user
    std::cerr << fmt::format("onebox: the front: {}\n", own_log.error().message);
    return 1;
  }
  const CacheTracker tracker(cache, *own_log.value(), clock);
  return front::Run(settings,
                    {.listeners = std::move(heritage.listeners),
                     .admin = std::move(heritage.admin),
                     .attach = std::move(heritage.attach),
                     .control = std::move(heritage.control),
                     .first_lane = kFirstLane + heritage.first_lane,
                     .waits_for_worker = heritage.waits_for_worker,
                     .clock = clock,
                     .log = *own_log.value(),
                     .metrics = metrics,
                     .more_metrics = [&] { return CacheMetrics(cache) + more_metrics(); }});
}

}  // namespace onebox::main
