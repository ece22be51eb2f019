#pragma once
// Asks each server of an upstream again and again whether it works.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "event/timers.h"
#include "telemetry/log.h"
#include "upstream/call.h"
#include "upstream/client.h"
#include "upstream/upstream.h"

namespace onebox::upstream {

inline constexpr std::uint32_t kProbesToDown = 2;  // that fail one after the other

// Of one reactor's thread, for all. Nothing where the settings name no path. The client, the upstream and
// the log outlive it.
class Prober {
 public:
  Prober(Client& client, Upstream& upstream, telemetry::Log& log);
  ~Prober();

 private:
  class Probe;
  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace onebox::upstream
