#include "main/broker_role.h"

#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "broker/broker.h"
#include "os/process.h"
#include "telemetry/log.h"

namespace onebox::main {

int RunBroker(const broker::Settings& settings,
              const FrontLog& log,
              const Clock& clock,
              supervise::BrokerHeritage heritage) {
  SetCrashRole("broker");
  os::RaiseDescriptorLimit();
  const auto own_log =
      telemetry::Log::Open(clock, {.role = "broker", .path = log.path, .level = log.level});
  if (!own_log.ok()) {  // the supervisor could open it, but we may be another user
    std::cerr << fmt::format("onebox: the broker: {}\n", own_log.error().message);
    return 1;
  }
  broker::Broker broker(settings,
                        {.socket = std::move(heritage.socket),
                         .attach = std::move(heritage.attach),
                         .control = std::move(heritage.control),
                         .fresh = heritage.fresh,
                         .worker_pids = std::move(heritage.worker_pids),
                         .clock = clock,
                         .log = *own_log.value()});
  if (const Status opened = broker.Open(); !opened.ok()) {
    own_log.value()->Error("no tasks and no jobs: {}", opened.error().message);
    return 1;
  }
  broker.Run();
  return 0;
}

}  // namespace onebox::main
