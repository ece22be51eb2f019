#pragma once
// The settings as the rooms take them.

#include <optional>
#include <string>
#include <vector>

#include "acme/settings.h"
#include "broker/settings.h"
#include "cache/second_level.h"
#include "front/settings.h"
#include "main/apps.h"
#include "main/settings.h"
#include "os/privileges.h"
#include "os/process.h"
#include "os/socket.h"
#include "plan/hours.h"
#include "supervise/supervisor.h"
#include "telemetry/log.h"

namespace onebox::main {

// One [[app.peak]].
struct Peak {
  plan::Hours at;
  unsigned workers = 0;
};

struct Config {
  std::string target, chdir, python, state, data;
  os::Variables app_variables;      // of [app] env alone
  std::optional<unsigned> workers;  // nothing: to be planned
  unsigned workers_min = 0;
  std::optional<unsigned> workers_max;  // nothing: to be planned
  std::vector<Peak> peaks;
  supervise::WorkerClass worker_class = supervise::WorkerClass::kThreads;
  unsigned threads = 0;  // or greenlets
  supervise::Preload preload = supervise::Preload::kAuto;
  std::string health;
  std::vector<std::string> warm_up;
  bool watch = false;
  std::vector<std::string> watch_files;
  os::Confinement confinement;
  Duration boot_timeout{};
  Duration recycle_age{};
  supervise::MemoryLimits memory;
  std::uint64_t memory_max = 0;
  std::uint64_t cache_bytes = 0;
  unsigned task_workers = 1, task_threads = 4;
  std::optional<unsigned> jobs_parallel;  // nothing: to be planned
  std::vector<OtherApp> other_apps;
  broker::Settings broker;
  os::Variables tasks_variables;  // that app and task workers are told by
  cache::SecondSettings second;   // of the cache
  acme::Settings acme;            // without names nobody obtains any
  std::vector<os::SocketAddress> listen;
  std::optional<os::SocketAddress> admin;
  std::string error_log;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
  std::optional<Duration> tickets;  // of TLS: how long a key is used; nothing: off
  front::Settings front;            // but for the keys of the tickets
};

// Fills in the defaults that depend on where we are: state, spool folder, Python.
void FillIn(Settings& settings, const os::Variables& environment);

// What no single value shows: sizes that do not fit together, folders that are not there.
Mistakes CheckTogether(const Settings& settings, const os::Variables& environment);

// What is right, and may not be what was meant: caches that keep nothing, and those that need a look at
// the app. For who asks, not for each start.
std::vector<std::string> CacheWarnings(const Settings& settings);

// REQUIRES: FillIn() was called, and CheckTogether() had nothing to say.
Result<Config> MakeConfig(const Settings& settings);

// As FrontPrint(), of the broker.
std::string BrokerPrint(const Settings& settings);

// As FrontPrint(), of who obtains certificates.
std::string AcmePrint(const Settings& settings);

// Everything that the front is told, as text: where it is the same, so is the front.
// `config` is made of `settings`, and has what the files hold that they name.
std::string FrontPrint(const Settings& settings, const Config& config);

// The state folder of an app folder where none is set: in $XDG_RUNTIME_DIR, else $XDG_STATE_HOME,
// else ~/.local/state, else /run. Not in the app's folder: that is often read-only or in a repository,
// and the path of a socket has 107 bytes at most.
std::string DefaultState(const std::string& chdir, const os::Variables& environment);
// The data folder where none is set: $STATE_DIRECTORY, which a service manager gives, else below `state`
// where that was said, else one for each app folder, on a disk: $XDG_RUNTIME_DIR ends with the login.
std::string DefaultData(const Settings& settings, const os::Variables& environment);
// The folder that those of all apps lie in.
std::string DefaultStateParent(const os::Variables& environment);

}  // namespace onebox::main
