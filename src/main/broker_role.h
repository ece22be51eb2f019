#pragma once
// The broker's life in a process of its own: its log, and what the supervisor has handed over.

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "broker/settings.h"
#include "main/front_role.h"
#include "shm/shared_text.h"
#include "supervise/heritage.h"

namespace onebox::main {

// Of the text through which the broker tells the front what /metrics says of tasks.
inline constexpr std::size_t kBrokerMetricsBytesMax = std::size_t{4} << 20;

// Until it is told to end; the exit status of the process. Once a second it writes `metrics`.
int RunBroker(const broker::Settings& settings,
              const FrontLog& log,
              const Clock& clock,
              shm::SharedText& metrics,
              supervise::BrokerHeritage heritage);

// What a process wrote last, as another reads it; empty where that is too old to be true.
std::string LiveMetrics(const shm::SharedText& metrics, const Clock& clock);

}  // namespace onebox::main
