#include "main/run_command.h"

#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "base/check.h"
#include "front/front.h"
#include "main/command_line.h"
#include "main/config.h"
#include "main/environment.h"
#include "main/facts.h"
#include "main/front_role.h"
#include "main/python.h"
#include "main/reference.h"
#include "main/toml_file.h"
#include "main/version.h"
#include "os/clock.h"
#include "os/file.h"
#include "plan/workers.h"
#include "supervise/supervisor.h"

namespace onebox::main {
namespace {

constexpr int kMistaken = 2;
constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::string_view kFileName = "onebox.toml";

void Tell(std::string_view text) {
  std::cerr << text << std::flush;
}

int TellMistakes(const Mistakes& mistakes) {
  for (const std::string& mistake : mistakes) {
    Tell(fmt::format("{}\n", mistake));
  }
  return kMistaken;
}

// The file that was asked for, or the one of the current folder; an empty layer where there is none.
Layer ReadConfigFile(const std::string& asked_for, const std::string& folder) {
  const std::string path = PathFrom(folder, asked_for.empty() ? kFileName : asked_for);
  const auto text = os::ReadFile(path, kFileBytesMax);
  if (!text.ok()) {
    if (asked_for.empty() && text.error().system_error == ENOENT) return {};
    return {{}, {text.error().message}};
  }
  const std::string shown = asked_for.empty() ? std::string(kFileName) : asked_for;
  return ReadToml(text.value(), shown, std::filesystem::path(path).parent_path().string());
}

struct Effective {
  Settings settings;
  Mistakes mistakes;
  std::vector<std::string> warnings;
};

// The line over the variable over the file over the default.
Effective ReadAll(const RunLine& line, const Caller& caller) {
  Effective all{Defaults(caller.folder), {}, {}};
  const Layer layers[] = {ReadConfigFile(line.config, caller.folder),
                          ReadEnvironment(caller.environment, caller.folder),
                          line.layer};
  for (const Layer& layer : layers) {
    Overlay(all.settings, layer.settings);
    all.mistakes.insert(all.mistakes.end(), layer.mistakes.begin(), layer.mistakes.end());
    all.warnings.insert(all.warnings.end(), layer.warnings.begin(), layer.warnings.end());
  }
  FillIn(all.settings, caller.environment);
  const Mistakes together = CheckTogether(all.settings);
  all.mistakes.insert(all.mistakes.end(), together.begin(), together.end());
  return all;
}

supervise::BoxSettings MakeBoxSettings(const Config& config,
                                       const Caller& caller,
                                       const std::string& python_side) {
  const plan::MachineFacts facts = ReadMachineFacts();
  const plan::WorkersPlan planned = plan::PlanWorkers(facts);
  supervise::BoxSettings box{
      .version = std::string(kVersion),
      .state = config.state,
      .listen = {config.listen, config.admin},
      .reactors = config.front.reactors,
      .drain_timeout = config.front.drain_timeout,
      .workers = config.workers.value_or(planned.workers),
      .worker_class = config.worker_class,
      .threads = config.threads,
      .preload = config.preload,
      .request_timeout = config.front.request_timeout,
      .boot_timeout = config.boot_timeout,
      .recycle_age = config.recycle_age,
      .health = config.health,
      .python = config.python,
      .python_side = python_side,
      .target = config.target,
      .chdir = config.chdir,
      .environment = caller.environment,
      .start_lines = {},
      .front = {},
      .front_print = {},
  };
  for (const auto& [name, value] : config.app_variables) {
    box.environment[name] = value;
  }
  box.start_lines = {
      fmt::format("machine   {}", plan::DescribeMachine(facts)),
      fmt::format("plan      {} workers x {} {} ({})",
                  box.workers,
                  box.threads,
                  supervise::NameOfUnits(box.worker_class),
                  config.workers ? "as set" : planned.reason),
  };
  return box;
}

supervise::Traffic ReadTraffic(const telemetry::Metrics& metrics) {
  using telemetry::Gauge;
  supervise::Traffic traffic{.workers_busy = metrics.Sum(Gauge::kThreadsBusy),
                             .queue = metrics.Sum(Gauge::kQueueLength),
                             .connections = metrics.Sum(Gauge::kConnections)};
  for (int hundred = 2; hundred <= 5; ++hundred) {  // 1xx are no answers of their own
    traffic.requests += metrics.SumAnswerClass(hundred);
  }
  traffic.errors = metrics.SumAnswerClass(5);
  return traffic;
}

// What the supervisor's own lane of the metrics says.
class Account {
 public:
  Account(telemetry::Metrics& metrics, const Clock& clock)
      : metrics_(metrics), lane_(metrics.lane(0)) {
    const auto since = clock.WallNow().time_since_epoch();
    lane_.Set(telemetry::Gauge::kStartTime,
              static_cast<std::uint64_t>(
                  std::chrono::duration_cast<std::chrono::seconds>(since).count()));
  }

  void Started(supervise::Role role) {
    if (role == supervise::Role::kAppWorker) lane_.Add(telemetry::Counter::kWorkersStarted);
  }
  void Died(supervise::Role role) {
    if (role == supervise::Role::kAppWorker) {
      lane_.Add(telemetry::Counter::kWorkersDied);
      return;
    }
    if (role == supervise::Role::kFront) lane_.Add(telemetry::Counter::kFrontsDied);
  }
  void FrontEnded(std::size_t first_lane, std::size_t lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      metrics_.lane(kFirstLane + first_lane + lane).ClearGauges();
    }
  }
  void Changed(const supervise::WorkersNow& now) {
    lane_.Set(telemetry::Gauge::kWorkersStarting, now.starting);
    lane_.Set(telemetry::Gauge::kWorkersReady, now.ready);
    lane_.Set(telemetry::Gauge::kThreads, now.threads);
  }

 private:
  telemetry::Metrics& metrics_;
  telemetry::Lane lane_;
};

// A reload may raise the number of reactors to this, or to what it was at the start.
constexpr std::size_t kReloadReactorsMax = 8;

// The options, and what they come to.
struct Decided {
  Settings settings;
  Config config;
};

// What is the same for every generation; all of it outlives the box.
struct Place {
  const Caller& caller;
  const std::string& python_side;
  const Clock& clock;
  telemetry::Metrics& metrics;
};

// The settings as the box takes them, with the life of a front that has them.
supervise::BoxSettings MakeBox(const Decided& decided, const Place& place) {
  supervise::BoxSettings box = MakeBoxSettings(decided.config, place.caller, place.python_side);
  box.front_print = FrontPrint(decided.settings);
  box.front = [&place, config = decided.config](supervise::FrontHeritage heritage) {
    return RunFront(config.front,
                    {.path = config.error_log, .level = config.log_level},
                    place.clock,
                    place.metrics,
                    std::move(heritage));
  };
  return box;
}

// Everything anew, from the same line, for a reload.
Result<Decided> ReadAgain(const RunLine& line, const Caller& caller, const Config& before) {
  Effective all = ReadAll(line, caller);
  if (!all.mistakes.empty()) return OperatorError(fmt::format("{}", fmt::join(all.mistakes, "\n")));
  Config config = TRY(MakeConfig(all.settings));
  if (config.error_log != before.error_log || config.log_level != before.log_level) {
    return OperatorError("[log] error and level cannot be changed by a reload");
  }
  return Decided{std::move(all.settings), std::move(config)};
}

Result<int> Serve(const Decided& decided, const RunLine& line, const Caller& caller) {
  const Config& config = decided.config;
  const std::string python_side = TRY(FindPythonSide(caller.program));
  const os::SystemClock clock;
  auto log = TRY(telemetry::Log::Open(
      clock, {.role = "supervisor", .path = config.error_log, .level = config.log_level}));
  const std::size_t lanes_max = std::max<std::size_t>(config.front.reactors, kReloadReactorsMax);
  auto metrics = TRY(telemetry::Metrics::Create(kFirstLane + 2 * lanes_max));
  Account account(metrics, clock);
  SetCrashRole("supervisor");
  const Place place{caller, python_side, clock, metrics};
  const supervise::Outside outside{
      .clock = clock,
      .log = *log,
      .print = Tell,
      .read_settings = [&]() -> Result<supervise::BoxSettings> {
        return MakeBox(TRY(ReadAgain(line, caller, config)), place);
      },
      .lanes_max = lanes_max,
      .traffic = [&] { return ReadTraffic(metrics); },
      .started = [&](supervise::Role role) { account.Started(role); },
      .died = [&](supervise::Role role) { account.Died(role); },
      .front_ended = [&](std::size_t first_lane) { account.FrontEnded(first_lane, lanes_max); },
      .workers_changed = [&](const supervise::WorkersNow& now) { account.Changed(now); },
  };
  return supervise::RunBox(MakeBox(decided, place), outside);
}

}  // namespace

int Run(std::span<const std::string> words, const Caller& caller) {
  const RunLine line = ReadRunLine(words, caller.folder);
  if (line.help) {
    std::cout << RunHelp();
    return 0;
  }
  Effective all = ReadAll(line, caller);
  for (const std::string& warning : all.warnings) {
    Tell(fmt::format("onebox: {}\n", warning));
  }
  if (!all.mistakes.empty()) return TellMistakes(all.mistakes);
  if (line.print_config) {
    std::cout << PrintSettings(all.settings);
    return 0;
  }
  if (TextOf(all.settings, "app.target").empty()) {
    return TellMistakes(
        {"onebox: which app? Say it on the line: onebox run \"app:create_app()\", or "
         "in onebox.toml: [app] target"});
  }
  auto config = MakeConfig(all.settings);
  if (!config.ok()) return TellMistakes({fmt::format("onebox: {}", config.error().message)});
  if (line.check_config) {
    std::cout << "the options are right\n";
    return 0;
  }
  const auto served = Serve({std::move(all.settings), std::move(config).value()}, line, caller);
  if (served.ok()) return served.value();
  Tell(fmt::format("onebox: {}\n", served.error().message));
  return 1;
}

}  // namespace onebox::main
