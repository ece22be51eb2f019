#pragma once
// The supervisor: opens the listeners, starts front and workers, replaces what dies, ends it all.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/process.h"
#include "os/socket.h"
#include "supervise/heritage.h"
#include "supervise/process.h"
#include "telemetry/log.h"

namespace onebox::supervise {

struct BoxSettings {
  std::string version;
  std::string state;  // folder, absolute; locked while the box runs
  std::vector<os::SocketAddress> listen;
  std::optional<os::SocketAddress> admin;
  unsigned reactors = 1;
  Duration drain_timeout{};

  unsigned workers = 1;
  unsigned threads = 1;
  Duration request_timeout{};
  std::string python;       // the interpreter
  std::string python_side;  // the folder that it runs: `PYTHON PYTHON_SIDE worker ...`
  std::string target;
  std::string chdir;
  os::Variables environment;  // of the workers

  std::vector<std::string> start_lines;  // machine and plan, shown below the addresses
};

// What the front counts, as status shows it.
struct Traffic {
  std::uint64_t workers_busy = 0;  // threads that run a request
  std::uint64_t queue = 0;
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
};

struct WorkersNow {
  std::uint64_t starting = 0;
  std::uint64_t ready = 0;

  bool operator==(const WorkersNow&) const = default;
};

// What main/ gives: what the supervisor works with and knows nothing of.
struct Outside {
  const Clock& clock;
  telemetry::Log& log;
  std::function<void(std::string_view)> print;  // text for the operator's terminal
  std::function<int(FrontHeritage)> front;      // the front's life, in a process of its own

  std::function<Traffic()> traffic;  // for status
  std::function<void(Role)> started;
  std::function<void(Role)> died;
  std::function<void(const WorkersNow&)> workers_changed;
};

// Runs the box until a signal ends it. The exit status: 0, or 1 where it could not start (the reason
// has been printed). REQUIRES: this process has one thread.
int RunBox(const BoxSettings& settings, const Outside& outside);

}  // namespace onebox::supervise
