#include "supervise/supervisor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "os/file.h"
#include "os/poll.h"
#include "os/random.h"
#include "os/signal.h"
#include "supervise/control.h"
#include "supervise/news.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration kHeartbeatTimeout = seconds(10);  // the front speaks once a second
constexpr Duration kDrainGrace = seconds(2);         // for a front that is late with its own end
constexpr Duration kEndTimeout = seconds(5);         // from SIGTERM to SIGKILL
constexpr Duration kBootNotice = seconds(10);
constexpr std::size_t kHeldLinesMax = 1000;
constexpr int kImportFailed = 3;  // a worker's exit status

double SecondsOf(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string Shown(const os::SocketAddress& address) {
  return address.is_unix() ? address.text() : fmt::format("http://{}", address.text());
}

// booting -> serving -> draining -> ending -> gone; from any phase to ending.
// Booting ends with the first time that the front and every worker are ready; what dies in it before
// any worker was ready ends the box. While serving or draining, what dies is started again.
// Draining: the listeners are closed and the front finishes what it holds. Ending: SIGTERM to all.
enum class Phase : unsigned char { kBooting, kServing, kDraining, kEnding, kGone };

constexpr std::array<std::string_view, 5> kPhaseNames = {"booting",
                                                         "serving",
                                                         "draining",
                                                         "ending",
                                                         "gone"};

class Box {
 public:
  Box(const BoxSettings& settings, const Outside& outside)
      : settings_(settings), outside_(outside), began_(outside.clock.Now()) {}

  // Once, before Run().
  Status Open();
  int Run();
  void CloseListeners();
  void RemoveControlPath();

 private:
  Status OpenListeners();
  Status OpenAttachSockets();
  void AddProcesses();
  std::string StartLines() const;

  void Turn();
  std::vector<int> WantedFds() const;
  std::optional<Duration> UntilNextDeadline() const;

  void TakeSignals();
  void TakeSignal(int number);
  void TakeNews();
  void Take(const News& news);
  void TakeWorkerReady(const News& news);
  void TakeWorkerStuck(const News& news);
  void TakeOutput(Process& process);
  void TakeLine(Process& process, std::string_view line);
  void ReleaseHeld(Process& process);
  void TakeDeath(Process& process);
  void TakeLastOutput(Process& process);

  void AfterDeath(Process& process, const os::ExitStatus& status, const std::string& name);
  void FailBoot(Process& process, const std::string& reason);
  void PlanRestart(Process& process, const os::ExitStatus& status, const std::string& name);

  void TellWorkers();
  WorkersNow CountWorkers() const;

  void StartWhatIsDue();
  void Start(Process& process);
  Result<os::Child> StartFront();
  Result<os::Spawned> StartWorker(const Process& process);
  FrontHeritage BecomeFront(os::Fd control);

  void CheckBooted();
  void CheckHeartbeat();
  void CheckDeadlines();

  void BeginDrain();
  void BeginEnd();
  void SignalAll(int number) const;
  void TellFront(const json& message) const;

  std::string StatusText() const;
  json ProcessStatus(const Process& process) const;

  Process& front() { return *processes_.front(); }
  const Process& front() const { return *processes_.front(); }
  Process* FindWorker(int number);
  bool AnyAlive() const;
  Time Now() const { return outside_.clock.Now(); }

  const BoxSettings& settings_;
  const Outside& outside_;
  const Time began_;

  Phase phase_ = Phase::kBooting;
  int exit_status_ = 0;
  bool worker_was_ready_ = false;
  bool boot_failed_ = false;
  bool boot_noticed_ = false;
  WorkersNow workers_told_;
  std::string app_name_, python_version_;
  Time front_spoke_at_{};
  Time front_died_at_{};
  Time deadline_{};  // of the phase, where it has one
  bool has_deadline_ = false;

  os::Fd state_lock_;
  std::optional<os::SignalQueue> signals_;
  std::optional<ControlSocket> control_;
  std::vector<os::Fd> listeners_;
  std::vector<std::string> addresses_;   // as they are shown, with the ports that were given
  std::vector<std::string> unix_paths_;  // of listeners
  os::Fd admin_;
  std::string admin_address_;
  std::string attach_name_;
  std::vector<os::Fd> attach_;
  os::Fd front_control_;
  std::vector<std::unique_ptr<Process>> processes_;  // the front, then the workers by number
};

Status Box::Open() {
  TRY(os::MakeFolders(settings_.state));
  auto lock = os::LockFile(settings_.state + "/lock");
  if (!lock.ok() && lock.error().system_error == EWOULDBLOCK) {
    return OperatorError(
        fmt::format("another onebox runs with the state folder {}; choose another with --state, or "
                    "look at it with: onebox status --state {}",
                    settings_.state,
                    settings_.state));
  }
  state_lock_ = TRY(std::move(lock));
  TRY(OpenListeners());
  TRY(OpenAttachSockets());
  control_ = TRY(ControlSocket::Open(settings_.state));
  signals_ = TRY(os::SignalQueue::Open({SIGTERM, SIGINT, SIGHUP, SIGUSR1}));
  AddProcesses();
  return Done();
}

Status Box::OpenListeners() {
  for (const os::SocketAddress& address : settings_.listen) {
    listeners_.push_back(TRY(os::Listen(address, {})));
    if (!address.unix_path().empty()) unix_paths_.push_back(address.unix_path());
    addresses_.push_back(Shown(TRY(os::SocketAddress::Of(listeners_.back()))));
  }
  if (!settings_.admin) return Done();
  admin_ = TRY(os::Listen(*settings_.admin, {}));
  if (!settings_.admin->unix_path().empty()) unix_paths_.push_back(settings_.admin->unix_path());
  admin_address_ = Shown(TRY(os::SocketAddress::Of(admin_)));
  return Done();
}

Status Box::OpenAttachSockets() {
  attach_name_ = fmt::format("@onebox-{:016x}", os::Random64());
  for (unsigned reactor = 0; reactor < settings_.reactors; ++reactor) {
    const auto address =
        TRY(os::SocketAddress::Parse(fmt::format("unix:{}.{}", attach_name_, reactor)));
    attach_.push_back(TRY(os::Listen(address, {.type = SOCK_SEQPACKET})));
  }
  return Done();
}

void Box::AddProcesses() {
  processes_.push_back(std::make_unique<Process>(Role::kFront, 0, outside_.clock));
  for (unsigned number = 1; number <= settings_.workers; ++number) {
    processes_.push_back(
        std::make_unique<Process>(Role::kAppWorker, static_cast<int>(number), outside_.clock));
    processes_.back()->holds = true;
  }
}

std::string Box::StartLines() const {
  std::string text = fmt::format("onebox {}   {}", settings_.version, fmt::join(addresses_, "   "));
  if (!admin_address_.empty()) text += fmt::format("   admin {}", admin_address_);
  text += '\n';
  for (const std::string& line : settings_.start_lines) {
    text += fmt::format("  {}\n", line);
  }
  return text;
}

int Box::Run() {
  outside_.print(StartLines());
  while (phase_ != Phase::kGone) {
    Turn();
  }
  return exit_status_;
}

void Box::RemoveControlPath() {
  if (control_) os::RemoveFile(control_->path());
}

// The paths go at once: the next box may want them before this one has ended.
void Box::CloseListeners() {
  listeners_.clear();
  admin_.Reset();
  for (const std::string& path : std::exchange(unix_paths_, {})) {
    os::RemoveFile(path);
  }
}

// What the others have said goes before what time says, so that a supervisor that was stopped for a
// while does not take its own absence for theirs.
void Box::Turn() {
  const std::vector<int> ready = os::WaitReadable(WantedFds(), UntilNextDeadline());
  const auto is_ready = [&ready](int fd) {
    return fd >= 0 && std::find(ready.begin(), ready.end(), fd) != ready.end();
  };
  if (is_ready(front_control_.get())) TakeNews();
  if (is_ready(signals_->fd().get())) TakeSignals();
  for (const auto& process : processes_) {
    if (is_ready(process->output.get())) TakeOutput(*process);
    if (process->alive() && is_ready(process->child->pidfd().get())) TakeDeath(*process);
  }
  control_->Serve([this](std::string_view) { return StatusText(); });
  CheckBooted();
  CheckHeartbeat();
  CheckDeadlines();
  StartWhatIsDue();
  TellWorkers();
}

std::vector<int> Box::WantedFds() const {
  std::vector<int> wanted = {signals_->fd().get()};
  if (front_control_.valid()) wanted.push_back(front_control_.get());
  for (const auto& process : processes_) {
    if (process->output.valid()) wanted.push_back(process->output.get());
    if (process->alive()) wanted.push_back(process->child->pidfd().get());
  }
  control_->Wanted(wanted);
  return wanted;
}

std::optional<Duration> Box::UntilNextDeadline() const {
  std::optional<Time> next;
  const auto consider = [&next](Time time) { next = next ? std::min(*next, time) : time; };
  for (const auto& process : processes_) {
    if (process->life == Life::kWaiting && phase_ < Phase::kEnding) consider(process->start_at);
  }
  if (front().alive()) consider(front_spoke_at_ + kHeartbeatTimeout);
  for (const auto& process : processes_) {
    if (process->kill_at) consider(*process->kill_at);
  }
  if (has_deadline_) consider(deadline_);
  if (phase_ == Phase::kBooting && !boot_noticed_) consider(began_ + kBootNotice);
  if (!next) return std::nullopt;
  return *next - Now();
}

// --- what others say ---------------------------------------------------------

void Box::TakeSignals() {
  while (const auto number = signals_->Next()) {
    TakeSignal(*number);
  }
}

void Box::TakeSignal(int number) {
  if (number == SIGHUP || number == SIGUSR1) {
    if (const Status reopened = outside_.log.Reopen(); !reopened.ok()) {
      outside_.log.Warning("{}", reopened.error().message);
    }
    TellFront({{"reopen", true}});
    return;
  }
  if (phase_ >= Phase::kDraining) {
    outside_.log.Warning("{} again: ending at once", os::SignalName(number));
    SignalAll(SIGKILL);
    BeginEnd();
    return;
  }
  outside_.log.Info("{}: finishing what has begun; once more ends at once", os::SignalName(number));
  BeginDrain();
}

void Box::TakeNews() {
  while (true) {
    const auto message = os::ReceiveMessage(front_control_, kControlBytesMax);
    if (message.ok() && !message.value()) return;
    if (!message.ok() || message.value()->bytes.empty()) {
      front_control_.Reset();  // the front is going: its death follows
      return;
    }
    front_spoke_at_ = Now();
    const auto news = ParseNews(message.value()->bytes);
    if (news) {
      Take(*news);
    } else {
      outside_.log.Warning("the front said what nobody understands: {}",
                           message.value()->bytes.substr(0, 200));
    }
  }
}

void Box::Take(const News& news) {
  switch (news.kind) {
    case News::Kind::kFrontAlive:
      return;
    case News::Kind::kFrontReady:
      if (front().life == Life::kBooting) front().life = Life::kReady;
      return;
    case News::Kind::kWorkerReady:
      TakeWorkerReady(news);
      return;
    case News::Kind::kWorkerStuck:
      TakeWorkerStuck(news);
      return;
  }
}

void Box::TakeWorkerReady(const News& news) {
  Process* worker = FindWorker(news.worker);
  if (worker == nullptr || worker->life != Life::kBooting) return;
  worker->life = Life::kReady;
  worker_was_ready_ = true;
  if (!news.app.empty()) app_name_ = news.app;
  if (!news.python.empty()) python_version_ = news.python;
  ReleaseHeld(*worker);
}

void Box::TakeWorkerStuck(const News& news) {
  Process* worker = FindWorker(news.worker);
  if (worker == nullptr || !worker->alive()) return;
  if (worker->life == Life::kEnding && !(news.gil && worker->kill_at)) return;
  outside_.log.Warning("{} is stuck: {}; it is ended and replaced", worker->name(), news.reason);
  worker->life = Life::kEnding;
  if (news.gil) {
    worker->kill_at.reset();
    worker->Signal(SIGKILL);
  } else {
    worker->kill_at = Now() + settings_.request_timeout;
  }
}

void Box::TakeOutput(Process& process) {
  const std::string bytes = os::ReadAvailable(process.output);
  const auto take = [this, &process](std::string_view line) { TakeLine(process, line); };
  if (!bytes.empty()) {
    process.lines.Feed(bytes, take);
    return;
  }
  process.lines.Finish(take);
  process.output.Reset();
}

void Box::TakeLine(Process& process, std::string_view line) {
  if (boot_failed_) return;  // one story is told, not one a worker
  if (process.holds) {
    process.held.emplace_back(line);
    if (process.held.size() > kHeldLinesMax) ReleaseHeld(process);
    return;
  }
  // What an app prints may be its only word on an error: no level keeps it out.
  const bool informs = outside_.log.Logs(telemetry::LogLevel::kInfo);
  const std::string name = process.name();
  informs ? outside_.log.Info("{}: {}", name, line) : outside_.log.Error("{}: {}", name, line);
}

void Box::ReleaseHeld(Process& process) {
  process.holds = false;
  for (const std::string& line : std::exchange(process.held, {})) {
    TakeLine(process, line);
  }
}

// --- deaths ------------------------------------------------------------------

// Not until the end of file: a grandchild may hold the other end, and write to it, for ever.
void Box::TakeLastOutput(Process& process) {
  constexpr int kReadsMax = 4;  // a pipe holds as much as one read takes
  for (int i = 0; i < kReadsMax && process.output.valid(); ++i) {
    TakeOutput(process);
  }
  process.lines.Finish([this, &process](std::string_view line) { TakeLine(process, line); });
  process.output.Reset();
}

void Box::TakeDeath(Process& process) {
  const auto status = process.child->Reap();
  if (!status) return;
  TakeLastOutput(process);
  if (process.role == Role::kFront) {
    if (front_control_.valid()) TakeNews();
    front_control_.Reset();
    front_died_at_ = Now();
  }
  const std::string name = process.name();
  process.child.reset();
  process.kill_at.reset();
  if (phase_ < Phase::kDraining) outside_.died(process.role);
  AfterDeath(process, *status, name);
  process.life = Life::kWaiting;
}

void Box::AfterDeath(Process& process, const os::ExitStatus& status, const std::string& name) {
  if (phase_ >= Phase::kEnding) {
    if (!AnyAlive()) phase_ = Phase::kGone;
    return;
  }
  if (phase_ == Phase::kDraining && process.role == Role::kFront) {
    if (status.status != 0 || status.signal != 0) {
      outside_.log.Warning("{} did not drain: {}", name, status.text());
    }
    BeginEnd();
    return;
  }
  const bool never_served =
      process.role == Role::kFront ? process.life == Life::kBooting : !worker_was_ready_;
  if (phase_ == Phase::kBooting && never_served) {
    const bool import_failed =
        process.role == Role::kAppWorker && status.signal == 0 && status.status == kImportFailed;
    FailBoot(process,
             import_failed ? fmt::format("{} could not be loaded", settings_.target)
                           : fmt::format("{} ended before it was ready: {}", name, status.text()));
    return;
  }
  PlanRestart(process, status, name);
}

void Box::FailBoot(Process& process, const std::string& reason) {
  for (const std::string& line : std::exchange(process.held, {})) {
    outside_.print(line + '\n');
  }
  outside_.print(fmt::format("onebox: {}\n", reason));
  if (process.role == Role::kAppWorker) {
    outside_.print(fmt::format("  app     {}\n  folder  {}\n  python  {}\n",
                               settings_.target,
                               settings_.chdir,
                               settings_.python));
  }
  boot_failed_ = true;
  exit_status_ = 1;
  SignalAll(SIGKILL);
  BeginEnd();
}

void Box::PlanRestart(Process& process, const os::ExitStatus& status, const std::string& name) {
  ReleaseHeld(process);
  const bool by_us = process.life == Life::kEnding;
  const bool with_the_front =
      process.role == Role::kAppWorker && status.signal == 0 && front_died_at_ >= process.started;
  if (by_us || with_the_front) {
    process.start_at = Now();
    return;
  }
  const Duration lived = Now() - process.started;
  const Duration wait = process.backoff.Died();
  process.start_at = Now() + wait;
  const int deaths = process.backoff.deaths_in_a_row();
  const std::string story =
      fmt::format("{} ended after {:.1f} s: {}; it starts again in {:.1f} s{}",
                  name,
                  SecondsOf(lived),
                  status.text(),
                  SecondsOf(wait),
                  deaths == 1 ? "" : fmt::format(" (death {} in a row)", deaths));
  if (process.lines.last().empty()) {
    outside_.log.Error("{}", story);
    return;
  }
  outside_.log.Block(telemetry::LogLevel::kError,
                     fmt::format("{}; its last words:", story),
                     fmt::format("{}", fmt::join(process.lines.last(), "\n")));
}

void Box::TellWorkers() {
  const WorkersNow now = CountWorkers();
  if (now == workers_told_) return;
  workers_told_ = now;
  outside_.workers_changed(now);
}

WorkersNow Box::CountWorkers() const {
  WorkersNow now;
  for (const auto& process : processes_) {
    if (process->role != Role::kAppWorker) continue;
    if (process->life == Life::kBooting) ++now.starting;
    if (process->life == Life::kReady) ++now.ready;
  }
  return now;
}

// --- starts ------------------------------------------------------------------

void Box::StartWhatIsDue() {
  for (const auto& process : processes_) {
    if (phase_ >= Phase::kEnding) return;
    if (process->life == Life::kWaiting && process->start_at <= Now()) Start(*process);
  }
}

void Box::Start(Process& process) {
  const bool again = process.started != Time{};
  process.started = Now();
  process.backoff.Started();
  process.lines = {};
  std::string failure;
  if (process.role == Role::kFront) {
    auto child = StartFront();
    if (child.ok()) {
      process.child.emplace(std::move(child).value());
    } else {
      failure = child.error().message;
    }
  } else {
    auto spawned = StartWorker(process);
    if (spawned.ok()) {
      process.child.emplace(std::move(spawned.value().child));
      process.output = std::move(spawned.value().output);
    } else {
      failure = spawned.error().message;
    }
  }
  if (failure.empty()) {
    process.life = Life::kBooting;
    if (again) ++process.restarts;
    outside_.started(process.role);
    return;
  }
  if (phase_ == Phase::kBooting && !worker_was_ready_) {
    FailBoot(process, fmt::format("{} cannot be started: {}", process.name(), failure));
    return;
  }
  const Duration wait = process.backoff.Died();
  process.start_at = Now() + wait;
  outside_.log.Error("{} cannot be started: {}; tried again in {:.1f} s",
                     process.name(),
                     failure,
                     SecondsOf(wait));
}

Result<os::Child> Box::StartFront() {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  os::Child child = TRY(os::Fork([&] {
    control.ours.Reset();
    return outside_.front(BecomeFront(std::move(control.theirs)));
  }));
  front_control_ = std::move(control.ours);
  front_spoke_at_ = Now();
  return child;
}

// In the front's own process, after the fork: keeps what is handed over and closes the rest.
FrontHeritage Box::BecomeFront(os::Fd control) {
  state_lock_.Reset();
  signals_->Close();
  control_->Close();
  front_control_.Reset();
  for (const auto& process : processes_) {
    process->child.reset();
    process->output.Reset();
  }
  return {.listeners = std::move(listeners_),
          .admin = std::move(admin_),
          .attach = std::move(attach_),
          .control = std::move(control)};
}

Result<os::Spawned> Box::StartWorker(const Process& process) {
  return os::Spawn({.words = {settings_.python,
                              settings_.python_side,
                              "worker",
                              "--attach",
                              attach_name_,
                              "--reactors",
                              std::to_string(settings_.reactors),
                              "--number",
                              std::to_string(process.number),
                              "--workers",
                              std::to_string(settings_.workers),
                              "--threads",
                              std::to_string(settings_.threads),
                              "--target",
                              settings_.target,
                              "--chdir",
                              settings_.chdir},
                    .environment = settings_.environment});
}

// --- time --------------------------------------------------------------------

void Box::CheckBooted() {
  if (phase_ != Phase::kBooting) return;
  const bool booted = std::all_of(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->life == Life::kReady;
  });
  if (booted) {
    phase_ = Phase::kServing;
    std::string app = fmt::format("  app       {}", settings_.target);
    if (!app_name_.empty()) app += fmt::format(", {}", app_name_);
    app += python_version_.empty() ? fmt::format(", {}", settings_.python)
                                   : fmt::format(", Python {}", python_version_);
    outside_.print(fmt::format("{}\n  ready in {:.1f} s\n", app, SecondsOf(Now() - began_)));
    return;
  }
  if (boot_noticed_ || Now() < began_ + kBootNotice) return;
  boot_noticed_ = true;
  outside_.print(
      fmt::format("  waiting for {} to load; its output is shown when it has\n", settings_.target));
}

void Box::CheckHeartbeat() {
  if (!front().alive() || front().life == Life::kEnding) return;
  if (Now() < front_spoke_at_ + kHeartbeatTimeout) return;
  outside_.log.Error("{} has not been heard of for {:.0f} s; it is killed",
                     front().name(),
                     SecondsOf(kHeartbeatTimeout));
  front_spoke_at_ = Now();  // once is enough
  front().Signal(SIGKILL);
}

void Box::CheckDeadlines() {
  for (const auto& process : processes_) {
    if (!process->kill_at || Now() < *process->kill_at) continue;
    process->kill_at.reset();
    process->Signal(SIGKILL);
  }
  if (!has_deadline_ || Now() < deadline_) return;
  has_deadline_ = false;
  if (phase_ == Phase::kDraining) {
    outside_.log.Warning("{} is over its drain_timeout; it is killed", front().name());
    front().Signal(SIGKILL);
  } else if (phase_ == Phase::kEnding) {
    SignalAll(SIGKILL);
  }
}

// --- the end -----------------------------------------------------------------

void Box::BeginDrain() {
  if (!front().alive() || !worker_was_ready_) {
    BeginEnd();
    return;
  }
  phase_ = Phase::kDraining;
  deadline_ = Now() + settings_.drain_timeout + kDrainGrace;
  has_deadline_ = true;
  CloseListeners();
  TellFront({{"drain", true}});
}

void Box::BeginEnd() {
  phase_ = Phase::kEnding;
  deadline_ = Now() + kEndTimeout;
  has_deadline_ = true;
  CloseListeners();
  TellFront({{"end", true}});
  SignalAll(SIGTERM);
  if (!AnyAlive()) phase_ = Phase::kGone;
}

void Box::SignalAll(int number) const {
  for (const auto& process : processes_) {
    process->Signal(number);
  }
}

void Box::TellFront(const json& message) const {
  if (!front_control_.valid()) return;
  const auto told = os::SendDescriptors(front_control_, message.dump(), {});
  if (told.ok() || told.error().system_error == EPIPE) return;  // gone: its death says so itself
  outside_.log.Warning("the front cannot be told: {}", told.error().message);
}

// --- status ------------------------------------------------------------------

std::string Box::StatusText() const {
  const Traffic traffic = outside_.traffic();
  json processes = json::array();
  for (const auto& process : processes_) {
    processes.push_back(ProcessStatus(*process));
  }
  const json status = {{"version", settings_.version},
                       {"uptime", SecondsOf(Now() - began_)},
                       {"phase", kPhaseNames[static_cast<std::size_t>(phase_)]},
                       {"state", settings_.state},
                       {"target", settings_.target},
                       {"chdir", settings_.chdir},
                       {"listen", addresses_},
                       {"admin", admin_address_},
                       {"workers",
                        {{"total", settings_.workers},
                         {"ready", CountWorkers().ready},
                         {"threads", settings_.threads},
                         {"busy", traffic.workers_busy}}},
                       {"queue", traffic.queue},
                       {"connections", traffic.connections},
                       {"requests", traffic.requests},
                       {"errors", traffic.errors},
                       {"processes", processes}};
  return status.dump(-1, ' ', false, json::error_handler_t::replace);
}

json Box::ProcessStatus(const Process& process) const {
  return {{"role", NameOf(process.role)},
          {"number", process.number},
          {"pid", process.alive() ? json(process.child->pid()) : json()},
          {"state", NameOf(process.life)},
          {"uptime", process.alive() ? SecondsOf(Now() - process.started) : 0.0},
          {"restarts", process.restarts}};
}

Process* Box::FindWorker(int number) {
  if (number < 1 || static_cast<std::size_t>(number) >= processes_.size()) return nullptr;
  return processes_[static_cast<std::size_t>(number)].get();
}

bool Box::AnyAlive() const {
  return std::any_of(
      processes_.begin(), processes_.end(), [](const auto& process) { return process->alive(); });
}

}  // namespace

int RunBox(const BoxSettings& settings, const Outside& outside) {
  Box box(settings, outside);
  const Status opened = box.Open();
  if (!opened.ok()) {
    outside.print(fmt::format("onebox: {}\n", opened.error().message));
    box.CloseListeners();
  }
  const int status = opened.ok() ? box.Run() : 1;
  box.RemoveControlPath();
  return status;
}

}  // namespace onebox::supervise
