#pragma once
// The front: every client connection, static files, and the one queue before the app.

#include <functional>
#include <string>
#include <vector>

#include "front/settings.h"
#include "os/fd.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace onebox::front {

// What it is given; all of it outlives Run().
struct Handover {
  std::vector<os::Fd> listeners;
  os::Fd admin;  // not valid: off
  // SEQPACKET listeners for the workers: of each app one for each reactor.
  std::vector<os::Fd> attach;
  os::Fd control;                 // to the supervisor; see supervise/heritage.h
  std::size_t first_lane = 1;     // of the metrics: one for each reactor, from this one on
  bool waits_for_worker = false;  // accepts nothing before each app has one
  const Clock& clock;
  telemetry::Log& log;
  telemetry::Metrics& metrics;
  std::function<std::string()> more_metrics = {};  // what /metrics says besides; from any reactor
};

// Serves until it is told to drain (0), or cannot (1).
int Run(const Settings& settings, Handover handover);

}  // namespace onebox::front
