#pragma once
// Service: the life of the process that obtains certificates.

#include <functional>
#include <string>
#include <string_view>

#include "acme/settings.h"
#include "base/clock.h"
#include "os/fd.h"
#include "telemetry/log.h"

namespace onebox::acme {

struct Surroundings {
  os::Fd control;  // to the supervisor; supervise/heritage.h has its messages
  std::function<void(std::string_view)> publish;  // what /metrics says, every kHeartbeat
  const Clock& clock;
  telemetry::Log& log;
};

// Until it is told to end, or the supervisor has gone; the exit status. One that still works in the same
// folder, as of the generation before, is waited for.
int Serve(const Settings& settings, Surroundings surroundings);

}  // namespace onebox::acme
