#include "main/front_role.h"

#include <utility>

#include "base/check.h"
#include "front/front.h"
#include "os/process.h"

namespace onebox::main {

int RunFront(const front::Settings& settings,
             const FrontLog& log,
             const Clock& clock,
             telemetry::Metrics& metrics,
             supervise::FrontHeritage heritage) {
  SetCrashRole("front");
  os::RaiseDescriptorLimit();
  const auto own_log =
      telemetry::Log::Open(clock, {.role = "front", .path = log.path, .level = log.level});
  if (!own_log.ok()) return 1;  // the supervisor has opened the same path before
  return front::Run(settings,
                    {.listeners = std::move(heritage.listeners),
                     .admin = std::move(heritage.admin),
                     .attach = std::move(heritage.attach),
                     .control = std::move(heritage.control),
                     .first_lane = kFirstLane + heritage.first_lane,
                     .waits_for_worker = heritage.waits_for_worker,
                     .clock = clock,
                     .log = *own_log.value(),
                     .metrics = metrics});
}

}  // namespace onebox::main
