#include "main/run_command.h"

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "base/check.h"
#include "cache/cache.h"
#include "cache/second_level.h"
#include "front/front.h"
#include "front/router.h"
#include "front/shared_responses.h"
#include "main/acme_role.h"
#include "main/apps.h"
#include "main/broker_role.h"
#include "main/command_line.h"
#include "main/config.h"
#include "main/environment.h"
#include "main/facts.h"
#include "main/front_role.h"
#include "main/gunicorn.h"
#include "main/handed_over.h"
#include "main/python.h"
#include "main/reference.h"
#include "main/successor.h"
#include "main/toml_file.h"
#include "main/upstreams.h"
#include "main/version.h"
#include "main/words.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/folder.h"
#include "os/handed_over.h"
#include "os/inquiry.h"
#include "os/random.h"
#include "plan/workers.h"
#include "shm/shared_text.h"
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
  std::optional<GunicornFile> gunicorn;  // where -c named one
  std::string gunicorn_folder;           // where it was executed
};

// What -c names, or the onebox.toml of the folder.
struct Source {
  Layer layer;
  std::optional<GunicornFile> gunicorn;
  std::string gunicorn_folder;
};

Source MistakenSource(const Error& error) {
  return {{{}, {error.message}}, {}, {}};
}

// A gunicorn.conf.py is executed by the app's Python, in the app's folder and with its variables, as
// line and environment have them: the file itself cannot say where it runs.
os::Asked<Source> AskGunicorn(const RunLine& line, const Caller& caller) {
  Settings before = Defaults(caller.folder);
  Overlay(before, ReadEnvironment(caller.environment, caller.folder).settings);
  Overlay(before, line.layer.settings);
  FillIn(before, caller.environment);
  const auto python_side = FindPythonSide(caller.program);
  if (!python_side.ok()) return os::Asked<Source>(MistakenSource(python_side.error()));
  GunicornReader reader{.python = TextOf(before, "app.python"),
                        .python_side = python_side.value(),
                        .chdir = TextOf(before, "app.chdir"),
                        .environment = caller.environment};
  for (const Element& variable : before["app.env"]) {
    reader.environment[variable.name] = variable.text;
  }
  const auto take = [chdir = reader.chdir](Result<GunicornFile> file) -> Source {
    if (!file.ok()) return MistakenSource(file.error());
    Tell(file.value().printed);
    Layer layer = file.value().layer;
    return {std::move(layer), std::move(file).value(), chdir};
  };
  return AskGunicornFile(line.config, caller.folder, reader).Then(take);
}

os::Asked<Source> AskSource(const RunLine& line, const Caller& caller) {
  if (IsGunicornFile(line.config)) return AskGunicorn(line, caller);
  return os::Asked<Source>(Source{ReadConfigFile(line.config, caller.folder), {}, {}});
}

// What app.watch shows is for who writes the app alone.
std::string WatchWarning(const Settings& settings) {
  std::vector<std::string> open;
  for (const Element& address : settings.find("front.listen")->second) {
    const std::string_view where = WithoutScheme(address.text);
    const bool local =
        where.starts_with("127.") || where.starts_with("[::1]") || where.starts_with("unix:");
    if (!local) open.push_back(address.text);
  }
  return fmt::format(
      "app.watch is for development: all clients see the traceback of an app that cannot be "
      "loaded{}",
      open.empty() ? "" : fmt::format(", on other machines too by {}", fmt::join(open, ", ")));
}

// The line over the variable over the file over the default.
Effective OverlayAll(Source file, const RunLine& line, const Caller& caller) {
  Effective all{
      Defaults(caller.folder), {}, {}, std::move(file.gunicorn), std::move(file.gunicorn_folder)};
  const Layer layers[] = {
      std::move(file.layer), ReadEnvironment(caller.environment, caller.folder), line.layer};
  for (const Layer& layer : layers) {
    Overlay(all.settings, layer.settings);
    all.mistakes.insert(all.mistakes.end(), layer.mistakes.begin(), layer.mistakes.end());
    all.warnings.insert(all.warnings.end(), layer.warnings.begin(), layer.warnings.end());
  }
  FillIn(all.settings, caller.environment);
  return all;
}

Effective MakeEffective(Source file, const RunLine& line, const Caller& caller) {
  Effective all = OverlayAll(std::move(file), line, caller);
  if (TextOf(all.settings, "app.watch") == "true") {
    all.warnings.push_back(WatchWarning(all.settings));
  }
  if (line.check_config) {
    const auto caches = CacheWarnings(all.settings);
    all.warnings.insert(all.warnings.end(), caches.begin(), caches.end());
  }
  const Mistakes together = CheckTogether(all.settings, caller.environment);
  all.mistakes.insert(all.mistakes.end(), together.begin(), together.end());
  return all;
}

supervise::ScalingLimits LimitsOf(const Config& config, unsigned planned) {
  if (config.workers) return {*config.workers, *config.workers};
  const unsigned most = config.workers_max.value_or(std::max(2 * planned, config.workers_min));
  return {std::min(config.workers_min, most), most};
}

// Why there are so many workers at first.
std::string WorkersReason(const Config& config,
                          const plan::WorkersPlan& planned,
                          const supervise::ScalingLimits& scaling) {
  if (config.workers) return "as set";
  if (planned.workers < scaling.min) {
    return fmt::format("app.workers_min; the plan is {}", planned.reason);
  }
  if (planned.workers > scaling.max) {
    return fmt::format("app.workers_max; the plan is {}", planned.reason);
  }
  return planned.reason;
}

// What zygote and workers need to run the hooks of the file.
std::vector<std::string> GunicornWords(const RunLine& line,
                                       const Effective& all,
                                       const Caller& caller) {
  std::vector<std::string> words = {"--gunicorn",
                                    GunicornLocation(line.config, caller.folder),
                                    "--gunicorn-name",
                                    line.config,
                                    "--gunicorn-folder",
                                    all.gunicorn_folder};
  for (const Element& address : all.settings.find("front.listen")->second) {
    words.insert(words.end(), {"--listen", std::string(WithoutScheme(address.text))});
  }
  return words;
}

// The lines of the start that speak of Gunicorn's file: what became of it, or that it is not read.
std::vector<std::string> GunicornLines(const RunLine& line,
                                       const Effective& all,
                                       const Caller& caller) {
  constexpr std::string_view kUsualName = "gunicorn.conf.py";
  if (all.gunicorn) return GunicornStartLines(*all.gunicorn, line.config);
  const bool configured =
      !line.config.empty() || os::FactsAt(PathFrom(caller.folder, kFileName)).has_value();
  if (configured || !os::FactsAt(PathFrom(caller.folder, kUsualName))) return {};
  return {fmt::format("gunicorn  {} is here and not read: -c {} reads it", kUsualName, kUsualName)};
}

// What a service manager tells us, and is none of the app's business.
constexpr std::array kOfTheService = {"NOTIFY_SOCKET",
                                      "WATCHDOG_USEC",
                                      "WATCHDOG_PID",
                                      "LISTEN_FDS",
                                      "LISTEN_PID",
                                      "LISTEN_FDNAMES"};

std::vector<std::string> LogFiles(const Config& config) {
  std::vector<std::string> files;
  for (const std::string& path : {config.error_log, config.front.access_log}) {
    if (path.starts_with('/')) files.push_back(path);  // not "-", and not off
  }
  return files;
}

// Who the app runs as, where that is worth a line: empty where it is who started us, and not root.
std::string DescribeUser(const Config& config) {
  if (const auto& user = config.confinement.user) {
    return fmt::format("user      {}, without privileges",
                       user->name.empty() ? std::to_string(user->id) : user->name);
  }
  return os::OurUser() == 0 ? "user      root: the app may do anything here; --user chooses another"
                            : "";
}

std::string DescribePlan(const supervise::AppSettings& app) {
  return fmt::format("plan      {}{}{} workers x {} {} ({})",
                     app.name,
                     app.name.empty() ? "" : ": ",
                     app.workers,
                     app.threads,
                     supervise::NameOfUnits(app.worker_class),
                     app.workers_reason);
}

// Where there is no app.
std::string DescribeProxy(const front::Settings& settings) {
  CHECK(settings.rest.upstream);
  const upstream::Settings& upstream = settings.upstreams[*settings.rest.upstream];
  std::vector<std::string> servers;
  for (const upstream::ServerAddress& server : upstream.servers)
    servers.push_back(server.text());
  return fmt::format("proxy     {}", fmt::join(servers, ", "));
}

supervise::BoxSettings MakeBoxSettings(const Config& config,
                                       const Caller& caller,
                                       const std::string& python_side) {
  const plan::MachineFacts facts = ReadMachineFacts();
  const plan::WorkersPlan planned = plan::PlanWorkers(facts);
  const supervise::ScalingLimits scaling = LimitsOf(config, planned.workers);
  const bool has_app = !config.target.empty();
  const unsigned workers =
      has_app ? std::clamp(config.workers.value_or(planned.workers), scaling.min, scaling.max) : 0;
  supervise::AppSettings app{
      .name = {},
      .workers = workers,
      .workers_reason = WorkersReason(config, planned, scaling),
      .scaling = has_app ? scaling : supervise::ScalingLimits{.min = 0, .max = 0},
      .workers_by_clock = {},
      .worker_class = config.worker_class,
      .threads = config.threads,
      .preload = config.preload,
      .hooks = false,
      .request_timeout = front::LongestTimeout(config.front),
      .boot_timeout = config.boot_timeout,
      .recycle_age = config.recycle_age,
      .memory = config.memory,
      .health = config.health,
      .warm_up = config.warm_up,
      .python = config.python,
      .python_side = python_side,
      .target = config.target,
      .chdir = config.chdir,
      .worker_words = {},
      .environment = caller.environment,
  };
  supervise::BoxSettings box{
      .version = std::string(kVersion),
      .state = config.state,
      .listen = {config.listen, config.admin, config.front.secure},
      .reactors = config.front.reactors,
      .drain_timeout = config.front.drain_timeout,
      .apps = {},
      .memory_max = config.memory_max,
      .confinement = config.confinement,
      .logs = {},
      .watch = {},
      .start_lines = {},
      .front = {},
      .front_print = {},
      .data = config.data,
      .task_workers = config.task_workers,
      .task_threads = config.task_threads,
      .task_timeout = config.broker.timeout,
      .broker_at_start = !config.broker.jobs.empty() || config.broker.outbox,
      .broker = {},
      .broker_print = {},
      .acme = {},
      .acme_print = {},
  };
  for (const char* name : kOfTheService) {
    app.environment.erase(name);
  }
  if (const auto& user = config.confinement.user) {
    box.logs = LogFiles(config);
    app.environment["HOME"] = user->home.empty() ? "/" : user->home;
    app.environment["USER"] = app.environment["LOGNAME"] =
        user->name.empty() ? std::to_string(user->id) : user->name;
  }
  for (const auto& [name, value] : config.tasks_variables) {
    app.environment[name] = value;
  }
  for (const auto& [name, value] : config.app_variables) {
    app.environment[name] = value;
  }
  box.apps = {std::move(app)};
  AddApps(config.other_apps, planned, /*first_planned=*/!config.workers, box);
  box.start_lines = {fmt::format("machine   {}", plan::DescribeMachine(facts))};
  if (!has_app) box.start_lines.push_back(DescribeProxy(config.front));
  for (const supervise::AppSettings& one : box.apps) {
    if (has_app) box.start_lines.push_back(DescribePlan(one));
  }
  if (std::string user = DescribeUser(config); !user.empty()) {
    box.start_lines.push_back(std::move(user));
  }
  return box;
}

supervise::Traffic ReadTraffic(const telemetry::Metrics& metrics) {
  using telemetry::Gauge;
  supervise::Traffic traffic{.workers_busy = metrics.Sum(Gauge::kThreadsBusy),
                             .queue = metrics.Sum(Gauge::kQueueLength),
                             .limit = metrics.Sum(Gauge::kConcurrencyLimit),
                             .connections = metrics.Sum(Gauge::kConnections)};
  for (int hundred = 2; hundred <= 5; ++hundred) {  // 1xx are no answers of their own
    traffic.requests += metrics.SumAnswerClass(hundred);
  }
  traffic.errors = metrics.SumAnswerClass(5);
  traffic.kept = metrics.Sum(Gauge::kKeptAnswers);
  traffic.kept_bytes = metrics.Sum(Gauge::kKeptBytes);
  const auto counts = [&metrics](telemetry::Family family,
                                 std::span<const std::string_view> names) {
    std::vector<std::pair<std::string_view, std::uint64_t>> found;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (const std::uint64_t count = metrics.Sum(family, i); count > 0)
        found.emplace_back(names[i], count);
    }
    return found;
  };
  traffic.cached = counts(telemetry::Family::kCached, telemetry::kCachedNames);
  traffic.not_stored = counts(telemetry::Family::kNotStored, telemetry::kNotStoredNames);
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
  Effective all;
  Config config;
};

// The keys of session tickets, which a reload keeps: fronts are forked with them.
class TicketSecrets {
 public:
  explicit TicketSecrets(const Clock& clock) : clock_(clock) {}

  // Null: off.
  const std::shared_ptr<tls::TicketKeys>& For(const Config& config) {
    const bool same = keys_ != nullptr && config.tickets && keys_->rotation() == *config.tickets;
    if (!config.tickets) {
      keys_.reset();
    } else if (!same) {
      keys_ = std::make_shared<tls::TicketKeys>(NewSecret(), *config.tickets, clock_.WallNow());
    }
    return keys_;
  }
  // Now and then, so that what is past cannot be learnt from this process either.
  void Advance() {
    if (keys_ != nullptr) keys_->AdvanceTo(clock_.WallNow());
  }

 private:
  static tls::TicketKeys::Secret NewSecret() {
    tls::TicketKeys::Secret secret{};
    for (std::size_t i = 0; i < secret.size(); i += 8) {
      const std::uint64_t word = os::Random64();
      std::memcpy(secret.data() + i, &word, sizeof word);
    }
    return secret;
  }

  const Clock& clock_;
  std::shared_ptr<tls::TicketKeys> keys_;
};

// What is the same for every generation; all of it outlives the box.
struct Place {
  const RunLine& line;
  const Caller& caller;
  const std::string& python_side;
  const Clock& clock;
  telemetry::Metrics& metrics;
  cache::Cache& cache;
  shm::SharedText& broker_metrics;
  shm::SharedText& acme_metrics;
  const std::vector<os::HandedOver>& handed_over;
  TicketSecrets& tickets;
  std::shared_ptr<front::PurgeCount> purges;
};

// So long before the hour the first workers are started: each has to import the app.
constexpr auto kPeakLead = std::chrono::minutes(2);

supervise::WorkersByClock WorkersAt(const std::vector<Peak>& peaks, WallTime now) {
  supervise::WorkersByClock most;
  for (const Peak& peak : peaks) {
    if (!peak.at.CoverWithin(now, kPeakLead) || peak.workers <= most.count) continue;
    most = {peak.workers, fmt::format("peak hours, {}", peak.at.text())};
  }
  return most;
}

// What is ours and not the app's is left out: the state, and what the front serves by itself.
supervise::WatchSettings WatchOf(const Config& config, const RunLine& line, const Caller& caller) {
  supervise::WatchSettings watch{.on = config.watch,
                                 .folder = config.chdir,
                                 .files = config.watch_files,
                                 .ignored = {config.state, config.front.spool_folder}};
  const bool of_gunicorn = IsGunicornFile(line.config);
  const std::string file = of_gunicorn           ? GunicornLocation(line.config, caller.folder)
                           : line.config.empty() ? PathFrom(caller.folder, kFileName)
                                                 : PathFrom(caller.folder, line.config);
  if (file.starts_with('/')) watch.files.push_back(file);  // not a module's name
  for (const auto* routes : {&config.front.mounts, &config.front.routes}) {
    for (const front::Route& route : *routes) {
      if (route.rules.files) watch.ignored.push_back(route.rules.files->folder);
    }
  }
  return watch;
}

// The settings as the box takes them, with the life of a front that has them.
supervise::BoxSettings MakeBox(const Decided& decided, const Place& place) {
  supervise::BoxSettings box = MakeBoxSettings(decided.config, place.caller, place.python_side);
  if (const std::vector<Peak>& peaks = decided.config.peaks; !peaks.empty()) {
    box.apps.front().workers_by_clock = [peaks, &place] {
      return WorkersAt(peaks, place.clock.WallNow());
    };
  }
  if (decided.all.gunicorn) {
    box.apps.front().hooks = true;
    box.apps.front().worker_words = GunicornWords(place.line, decided.all, place.caller);
  }
  const auto lines = GunicornLines(place.line, decided.all, place.caller);
  box.start_lines.insert(box.start_lines.end(), lines.begin(), lines.end());
  box.watch = WatchOf(decided.config, place.line, place.caller);
  if (box.watch.on) {
    box.start_lines.push_back(
        fmt::format("watch     {}: a change reloads the app", decided.config.chdir));
  }
  box.front_print = FrontPrint(decided.all.settings, decided.config);
  box.broker_print = BrokerPrint(decided.all.settings);
  if (!decided.config.acme.names.empty()) {
    box.acme_print = AcmePrint(decided.all.settings);
    box.acme = [&place, config = decided.config](os::Fd control) {
      return RunAcme(config.acme,
                     {.path = config.error_log, .level = config.log_level},
                     place.clock,
                     place.acme_metrics,
                     std::move(control));
    };
  }
  const plan::MachineFacts facts = ReadMachineFacts();
  const unsigned cores = facts.physical_cores > 0 ? facts.physical_cores : facts.logical_cores;
  if (decided.config.target.empty()) box.broker_at_start = false;
  box.broker = [&place, cores, config = decided.config](supervise::BrokerHeritage heritage) {
    broker::Settings settings = config.broker;
    settings.jobs_parallel = config.jobs_parallel.value_or(cores);
    return RunBroker(settings,
                     {.path = config.error_log, .level = config.log_level},
                     place.clock,
                     place.broker_metrics,
                     std::move(heritage));
  };
  front::Settings front_settings = decided.config.front;
  front_settings.tls.tickets = place.tickets.For(decided.config);
  front_settings.purges = place.purges;
  box.front = [&place, config = decided.config, front_settings = std::move(front_settings)](
                  supervise::FrontHeritage heritage) {
    return RunFront(
        front_settings,
        {.path = config.error_log, .level = config.log_level},
        place.clock,
        place.metrics,
        place.cache,
        [&place] {
          return LiveMetrics(place.broker_metrics, place.clock) +
                 LiveMetrics(place.acme_metrics, place.clock);
        },
        std::move(heritage));
  };
  return box;
}

// Everything anew, from the same line, for a reload.
Result<Decided> DecideAgain(Source file, const Place& place, const Config& before) {
  Effective all = MakeEffective(std::move(file), place.line, place.caller);
  if (!all.mistakes.empty()) return OperatorError(fmt::format("{}", fmt::join(all.mistakes, "\n")));
  Config config = TRY(MakeConfig(all.settings));
  TRY(PlaceHandedOver(place.handed_over, all.settings, config));
  if (config.error_log != before.error_log || config.log_level != before.log_level) {
    return OperatorError("[log] error and level cannot be changed by a reload");
  }
  if (config.cache_bytes != before.cache_bytes) {
    return OperatorError(
        "[cache] memory cannot be changed by a reload: the cache would be empty; an upgrade or a "
        "restart changes it");
  }
  if (config.second != before.second) {
    return OperatorError(
        "[cache] redis and what belongs to it cannot be changed by a reload: what lies in the "
        "cache "
        "is of the Redis before; an upgrade or a restart changes it");
  }
  const auto id = [](const Config& one) {
    const auto& user = one.confinement.user;
    return user ? std::optional(std::pair(user->id, user->group)) : std::nullopt;
  };
  if (id(config) != id(before)) {
    return OperatorError("[app] user and group cannot be changed by a reload");
  }
  return Decided{std::move(all), std::move(config)};
}

// The cache of the program before, where it is of this size, and of this Redis; else a new one.
Result<cache::Cache> MakeCache(const Config& config, os::Fd inherited, telemetry::Log& log) {
  if (inherited.valid()) {
    auto found = cache::Cache::Open(std::move(inherited));
    const bool of_size = found.ok() && found.value().IsOf(config.cache_bytes);
    if (of_size && cache::ReadSettings(found.value()) == config.second) return found;
    log.Info("the cache begins empty: {}",
             !found.ok() ? found.error().message
                         : fmt::format("[cache] {} is another than before the upgrade",
                                       of_size ? "redis, or what belongs to it," : "memory"));
  }
  cache::Cache made = TRY(cache::Cache::Create(config.cache_bytes));
  TRY(cache::WriteSettings(config.second, made));
  return made;
}

Result<int> Serve(Decided decided,
                  const RunLine& line,
                  const Caller& caller,
                  Successor::Heritage inherited) {
  ::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads any more loses lines, not the box
  const auto handed_over = TRY(os::FindHandedOver(caller.environment, ::getpid()));
  TRY(PlaceHandedOver(handed_over, decided.all.settings, decided.config));
  const Config& config = decided.config;
  const std::string python_side = TRY(FindPythonSide(caller.program));
  const os::SystemClock clock;
  if (const auto& user = config.confinement.user) {
    TRY(os::KeepWhatASupervisorNeeds());
    for (const std::string& path : LogFiles(config)) {
      TRY(os::MakeFileFor(*user, path));
    }
  }
  auto log = TRY(telemetry::Log::Open(
      clock, {.role = "supervisor", .path = config.error_log, .level = config.log_level}));
  const std::size_t lanes_max = std::max<std::size_t>(config.front.reactors, kReloadReactorsMax);
  auto metrics = TRY(telemetry::Metrics::Create(kFirstLane + 2 * lanes_max));
  Account account(metrics, clock);
  SetCrashRole("supervisor");
  cache::Cache shared = TRY(MakeCache(config, std::move(inherited.memory), *log));
  const Successor successor(caller, shared.memory().get());
  auto broker_metrics =
      TRY(shm::SharedText::Create("onebox-broker-metrics", kBrokerMetricsBytesMax));
  auto acme_metrics = TRY(shm::SharedText::Create("onebox-acme-metrics", kAcmeMetricsBytesMax));
  TicketSecrets tickets(clock);
  const Place place{line,
                    caller,
                    python_side,
                    clock,
                    metrics,
                    shared,
                    broker_metrics,
                    acme_metrics,
                    handed_over,
                    tickets,
                    TRY(front::PurgeCount::Create())};
  const supervise::Outside outside{
      .clock = clock,
      .log = *log,
      .print = Tell,
      .ask_settings =
          [&] {
            const auto make = [&](Source file) -> Result<supervise::BoxSettings> {
              return MakeBox(TRY(DecideAgain(std::move(file), place, config)), place);
            };
            return AskSource(line, caller).Then(make);
          },
      .check_successor = [&] { return successor.Check(); },
      .succeed = [&](const os::Fd& left) { return successor.Become(left); },
      .lanes_max = lanes_max,
      .memory = shared.memory().get(),
      .memory_name = fmt::format("/memfd:{}", cache::kMemoryName),
      .traffic =
          [&] {
            tickets.Advance();  // we are asked each second or so
            return ReadTraffic(metrics);
          },
      .started = [&](supervise::Role role) { account.Started(role); },
      .died = [&](supervise::Role role) { account.Died(role); },
      .front_ended = [&](std::size_t first_lane) { account.FrontEnded(first_lane, lanes_max); },
      .workers_changed = [&](const supervise::WorkersNow& now) { account.Changed(now); },
      .notify = supervise::ReadNotifyWish(caller.environment, ::getpid()),
      .handed_over = handed_over,
  };
  return supervise::RunBox(MakeBox(decided, place), outside, std::move(inherited.left));
}

}  // namespace

int Run(std::span<const std::string> words, Caller caller) {
  Successor::Heritage inherited = Successor::Inherited(caller.environment);
  const RunLine line = ReadRunLine(words, caller.folder);
  if (line.help) {
    std::cout << RunHelp();
    return 0;
  }
  Effective all = MakeEffective(os::WaitForAnswer(AskSource(line, caller)), line, caller);
  for (const std::string& warning : all.warnings) {
    Tell(fmt::format("onebox: {}\n", warning));
  }
  if (line.print_config) {
    if (all.mistakes.empty()) std::cout << PrintSettings(all.settings);
    if (all.gunicorn) std::cout << PrintGunicorn(*all.gunicorn);
    std::cout << std::flush;
  }
  if (!all.mistakes.empty()) return TellMistakes(all.mistakes);
  if (line.print_config) return 0;
  if (TextOf(all.settings, "app.target").empty() && !ProxiesAll(all.settings)) {
    return TellMistakes(
        {"onebox: which app? Say it on the line: onebox run \"app:create_app()\", or "
         "in onebox.toml: [app] target, or in gunicorn.conf.py: wsgi_app"});
  }
  auto config = MakeConfig(all.settings);
  if (!config.ok()) return TellMistakes({fmt::format("onebox: {}", config.error().message)});
  if (line.check_config) {
    std::cout << kOptionsAreRight << '\n';
    return 0;
  }
  const auto served =
      Serve({std::move(all), std::move(config).value()}, line, caller, std::move(inherited));
  if (served.ok()) return served.value();
  Tell(fmt::format("onebox: {}\n", served.error().message));
  return 1;
}

Layer SettingsAsRun(const RunLine& line, const Caller& caller) {
  Effective all = OverlayAll(os::WaitForAnswer(AskSource(line, caller)), line, caller);
  return {std::move(all.settings), std::move(all.mistakes), std::move(all.warnings)};
}

int ShowGunicornPage(const Caller& caller) {
  Settings settings = Defaults(caller.folder);
  Overlay(settings, ReadEnvironment(caller.environment, caller.folder).settings);
  FillIn(settings, caller.environment);
  const auto print = [&]() -> Status {
    const std::string python_side = TRY(FindPythonSide(caller.program));
    std::cout << TRY(GunicornPage({.python = TextOf(settings, "app.python"),
                                   .python_side = python_side,
                                   .chdir = caller.folder,
                                   .environment = caller.environment}));
    return Done();
  };
  const Status printed = print();
  if (printed.ok()) return 0;
  Tell(fmt::format("onebox: {}\n", printed.error().message));
  return 1;
}

}  // namespace onebox::main
