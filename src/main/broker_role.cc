#include "main/broker_role.h"

#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "broker/broker.h"
#include "os/process.h"
#include "telemetry/log.h"

namespace onebox::main {
namespace {

constexpr Duration kMetricsAgeMax = std::chrono::seconds(15);  // they come every few

}  // namespace

int RunBroker(const broker::Settings& settings,
              const FrontLog& log,
              const Clock& clock,
              shm::SharedText& metrics,
              supervise::BrokerHeritage heritage) {
  SetCrashRole("broker");
  os::RaiseDescriptorLimit();
  const auto own_log =
      telemetry::Log::Open(clock, {.role = "broker", .path = log.path, .level = log.level});
  if (!own_log.ok()) {  // the supervisor could open it, but we may be another user
    std::cerr << fmt::format("onebox: the broker: {}\n", own_log.error().message);
    return 1;
  }
  bool cut = false;
  const auto publish = [&](std::string_view text) {
    const std::size_t left_out = metrics.Write(text, clock.Now());
    if (std::exchange(cut, left_out > 0) || !cut) return;
    own_log.value()->Warning("/metrics leaves out the last {} bytes of what there is of tasks",
                             left_out);
  };
  broker::Broker broker(settings,
                        {.socket = std::move(heritage.socket),
                         .attach = std::move(heritage.attach),
                         .control = std::move(heritage.control),
                         .generation = heritage.generation,
                         .fresh = heritage.fresh,
                         .worker_pids = std::move(heritage.worker_pids),
                         .publish = publish,
                         .clock = clock,
                         .log = *own_log.value()});
  if (const Status opened = broker.Open(); !opened.ok()) {
    own_log.value()->Error("no tasks and no jobs: {}", opened.error().message);
    return 1;
  }
  broker.Run();
  return 0;
}

std::string LiveMetrics(const shm::SharedText& metrics, const Clock& clock) {
  auto written = metrics.Read();
  if (!written || clock.Now() - written->at > kMetricsAgeMax) return {};
  return std::move(written->text);
}

}  // namespace onebox::main
