#pragma once
// The broker's life in a process of its own: its log, and what the supervisor has handed over.

#include "base/clock.h"
#include "broker/settings.h"
#include "main/front_role.h"
#include "supervise/heritage.h"

namespace onebox::main {

// Until it is told to end; the exit status of the process.
int RunBroker(const broker::Settings& settings,
              const FrontLog& log,
              const Clock& clock,
              supervise::BrokerHeritage heritage);

}  // namespace onebox::main
