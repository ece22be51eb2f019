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
#include "base/units.h"
#include "os/file.h"
#include "os/machine.h"
#include "os/poll.h"
#include "os/random.h"
#include "os/signal.h"
#include "supervise/control.h"
#include "supervise/generation.h"
#include "supervise/json.h"
#include "supervise/news.h"
#include "supervise/notifier.h"
#include "supervise/pool.h"
#include "supervise/succession.h"
#include "supervise/zygote.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration kHeartbeatTimeout = seconds(10);  // the front speaks once a second
constexpr Duration kFrontPause = seconds(3);         // after it the front counts as silent
constexpr Duration kDrainGrace = seconds(2);         // for a front that is late with its own end
constexpr Duration kWorkerGrace = seconds(2);        // for a worker, after its longest request
constexpr Duration kEndTimeout = seconds(5);         // from SIGTERM to SIGKILL; for the last hook
constexpr Duration kHookTimeout = seconds(30);       // for any other, and boot_timeout at most
constexpr Duration kBootNotice = seconds(10);
constexpr std::size_t kHeldLinesMax = 1000;
constexpr int kImportFailed = 3;  // exit statuses of a worker
constexpr int kHealthFailed = 4;
constexpr Duration kMemoryPause = seconds(1);  // between two looks at the workers' memory
constexpr Duration kMemoryPauseNear = std::chrono::milliseconds(100);  // where a limit is near
constexpr std::size_t kRollupBytesMax = 4096;
constexpr Duration kLoadPause = seconds(1);
constexpr std::uint64_t kAgeJitter = 10;  // a worker may get up to a tenth older than it is to

double SecondsOf(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

constexpr std::initializer_list<int> kSignals =
    {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};

// booting -> (broken ->) serving -> draining -> ending -> gone; from any phase to ending.
// Booting ends with the first time that the front and every worker are ready; what dies in it before
// any worker was ready ends the box, or where files are watched breaks it: there is a front and no
// worker until a reload succeeds. While serving or draining, what dies is started again.
// Draining: the listeners are closed and the front finishes what it holds. Ending: SIGTERM to all.
enum class Phase : unsigned char { kBooting, kBroken, kServing, kDraining, kEnding, kGone };

constexpr std::array<std::string_view, 6> kPhaseNames =
    {"booting", "broken", "serving", "draining", "ending", "gone"};

bool NeedsZygote(const BoxSettings& settings) {
  return settings.preload != Preload::kOff || settings.hooks;
}

// Its hooks hear of the end of every worker, and of the box's last of all.
bool HoldsHooks(const Process& process) {
  return process.hooks && process.alive() && !process.goes && process.life != Life::kBooting;
}

// reading settings -> (zygote loads) -> first worker boots -> taken over -> all wanted are ready.
// Until it is taken over, whatever fails in it ends it, and the generation before serves on.
struct Reload {
  std::shared_ptr<Generation> generation;
  Process* first = nullptr;  // worker
  bool taken_over = false;
  std::vector<ControlSocket::Client> askers;
  Time began{};
};

class Box {
 public:
  Box(BoxSettings settings, const Outside& outside)
      : outside_(outside),
        now_(std::make_shared<Generation>(Generation{.settings = std::move(settings)})),
        began_(outside.clock.Now()),
        notifier_(outside.clock, outside.log),
        watch_(outside.clock, outside.log) {
    BeginScaling(this->settings().workers);
  }

  // Once, before Run(), one of the two.
  Status Open();
  Status Inherit(const os::Fd& left);
  int Run();
  void CloseListeners() { listeners_.Close(); }
  void RemoveControlPath();

 private:
  const BoxSettings& settings() const { return now_->settings; }
  std::string StartLines() const;

  void Turn();
  std::vector<int> WantedFds() const;
  std::optional<Duration> UntilNextDeadline() const;

  // What others say.
  void TakeSignals();
  void TakeSignal(int number);
  void ReopenLogs();
  void TakeNews(Process& front);
  void Take(const News& news);
  void TakeWorkerReady(const News& news);
  void TakeWorkerStuck(const News& news);
  void TakeZygoteNews(Process& zygote);
  void Take(Process& zygote, const ZygoteNews& news);
  void TakeForked(const ZygoteNews& news);
  void Adopt(Process& worker, pid_t pid);
  void FailFork(Process& worker, const std::string& reason);
  void TakeOutput(Process& process);
  void TakeLine(Process& process, std::string_view line);
  void ReleaseHeld(Process& process);
  std::optional<std::string> AnswerQuestion(std::string_view question, ControlSocket::Client from);

  // Deaths.
  void TakeDeath(Process& process);
  void TakeLastOutput(Process& process);
  void AfterDeath(Process& process, const os::ExitStatus& status, const std::string& name);
  void AfterFrontDeath(Process& front);
  void FailBoot(Process& process, const std::string& reason);
  void PlanRestart(Process& process, const os::ExitStatus& status, const std::string& name);
  void BuryTheDead();

  // The pool.
  void BalancePool();
  unsigned Wanted() const { return scaling_->wanted(); }
  bool NumberChanges() const { return !settings().scaling.fixed() || settings().workers_by_clock; }
  MemoryRoom Room() const;
  void Replace(Process& worker, std::string reason);
  void EndWorker(Process& worker);
  void CheckAges();
  void CheckMemory();
  bool IsNearItsLimit(const Process& worker) const;
  void CheckLoad();
  void BeginScaling(unsigned workers) {
    scaling_.emplace(settings().scaling, workers, settings().workers_reason);
  }
  void TellWorkers();
  WorkersNow CountWorkers() const;

  // Starts.
  Process& AddFront(const std::shared_ptr<Generation>& generation);
  Process& AddZygote(const std::shared_ptr<Generation>& generation);
  Process& AddWorker(const std::shared_ptr<Generation>& generation);
  void StartWhatIsDue();
  bool IsDue(const Process& process) const;
  void Start(Process& process);
  Status Launch(Process& process);
  Status LaunchFront(Process& front);
  Status LaunchZygote(Process& zygote);
  Status LaunchWorker(Process& worker);
  FrontHeritage BecomeFront(Process& front, os::Fd control);
  Status OpenAttachSockets(Process& front) const;

  // Time.
  void CheckBooted();
  void CheckHeartbeat(Process& front);
  void CheckDeadlines();

  // Reload.
  void AskReload(std::optional<ControlSocket::Client> asker);
  bool IsAtRest() const;
  void BeginWantedReload();
  void BeginReload(std::vector<ControlSocket::Client> askers);
  void ContinueReload();
  void TakeOver();
  void EndZygote(Process& zygote);
  void TellOfTakeOver();
  void CheckReloaded();
  void FailReload(const std::string& reason, Process* culprit);
  std::string EndReload(const std::string& reason, Process* culprit);
  // Files are watched.
  void CheckWatch();
  void AwaitChange(const std::string& story, const std::string& reason);
  void ShowBroken(const std::string& story, const std::string& reason);
  void ShowWhole();
  void TellBroken(Process& front) const;
  // Another program in our place.
  void BeginWantedUpgrade();
  Succession WhatIsLeft() const;
  void FailUpgrade(const std::string& reason);
  void AnswerReload(const json& answer, const std::vector<ControlSocket::Client>& askers);
  bool IsOfReload(const Process& process) const {
    return reload_ != nullptr && !reload_->taken_over && process.generation == reload_->generation;
  }

  // The end.
  void BeginDrain();
  void BeginEnd();
  void ContinueEnd();
  void SignalAll(int number) const;
  void TellFront(Process& front, const json& message) const;
  void TellHooks(const Process* zygote, const json& message) const;

  void TellService();
  std::string StatusText() const;
  json ProcessStatus(const Process& process) const;
  json StandbyStatus(const Process& zygote) const;

  Process& front() { return *now_->front; }
  const Process& front() const { return *now_->front; }
  Process* FindWorker(int number);
  bool AnyAlive() const;
  Time Now() const { return outside_.clock.Now(); }

  const Outside& outside_;
  std::shared_ptr<Generation> now_;
  std::optional<Scaling> scaling_;
  Time memory_at_{};  // when the workers' memory is looked at next
  Time load_at_{};    // and the load
  os::CpuTimes cpu_before_;
  std::unique_ptr<Reload> reload_;
  std::vector<ControlSocket::Client> reload_askers_;  // of the next; as many as may be connected
  bool reload_wanted_ = false;
  bool upgrade_wanted_ = false;
  std::vector<ControlSocket::Client> upgrade_askers_;
  const Time began_;

  Phase phase_ = Phase::kBooting;
  int exit_status_ = 0;
  bool worker_was_ready_ = false;
  bool boot_failed_ = false;
  bool boot_noticed_ = false;
  WorkersNow workers_told_;
  unsigned wanted_told_ = 0;  // to the hooks; 0: nothing yet
  // Not while a zygote that is not the first waits until it may call when_ready.
  bool hooks_serve_ = true;
  Time front_died_at_{};
  Time deadline_ = Time::max();  // of the phase, where it has one

  os::Fd state_lock_;
  std::optional<os::SignalQueue> signals_;
  std::optional<ControlSocket> control_;
  Notifier notifier_;
  AppWatch watch_;
  std::string broken_;  // why the app cannot be loaded, as the front shows it; empty: it is whole
  Listeners listeners_;
  std::vector<std::unique_ptr<Process>> processes_;
};

Status Box::Open() {
  TRY(os::MakeFolders(settings().state));
  auto lock = os::LockFile(settings().state + "/lock");
  if (!lock.ok() && lock.error().system_error == EWOULDBLOCK) {
    return OperatorError(
        fmt::format("another onebox runs with the state folder {}; choose another with --state, or "
                    "look at it with: onebox status --state {}",
                    settings().state,
                    settings().state));
  }
  state_lock_ = TRY(std::move(lock));
  listeners_.Adopt(outside_.handed_over);
  TRY(listeners_.Open(settings().listen));
  control_ = TRY(ControlSocket::Open(settings().state));
  signals_ = TRY(os::SignalQueue::Open(kSignals));
  os::AdoptOrphans();
  notifier_.Open(outside_.notify);
  watch_.Follow(settings().watch);
  now_->front = &AddFront(now_);
  TRY(OpenAttachSockets(*now_->front));
  if (NeedsZygote(settings())) now_->zygote = &AddZygote(now_);
  return Done();
}

Status Box::OpenAttachSockets(Process& front) const {
  front.attach_name = fmt::format("@onebox-{:016x}", os::Random64());
  for (unsigned reactor = 0; reactor < front.generation->settings.reactors; ++reactor) {
    const auto address =
        TRY(os::SocketAddress::Parse(fmt::format("unix:{}.{}", front.attach_name, reactor)));
    front.attach.push_back(TRY(os::Listen(address, {.type = SOCK_SEQPACKET})));
  }
  return Done();
}

std::string Box::StartLines() const {
  std::string text = fmt::format(
      "onebox {}   {}", settings().version, fmt::join(listeners_.Shown(settings().listen), "   "));
  const std::string admin = listeners_.ShownAdmin(settings().listen);
  if (!admin.empty()) text += fmt::format("   admin {}", admin);
  text += '\n';
  for (const std::string& line : settings().start_lines) {
    text += fmt::format("  {}\n", line);
  }
  return text;
}

int Box::Run() {
  if (phase_ == Phase::kBooting) outside_.print(StartLines());
  BalancePool();
  while (phase_ != Phase::kGone) {
    Turn();
  }
  return exit_status_;
}

void Box::RemoveControlPath() {
  if (control_) os::RemoveFile(control_->path());
}

// What the others have said goes before what time says, so that a supervisor that was stopped for a
// while does not take its own absence for theirs.
void Box::Turn() {
  const std::vector<int> ready = os::WaitReadable(WantedFds(), UntilNextDeadline());
  const auto is_ready = [&ready](int fd) {
    return fd >= 0 && std::find(ready.begin(), ready.end(), fd) != ready.end();
  };
  // By index: a reload that fails or succeeds may add processes; BuryTheDead() alone removes some.
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    Process& process = *processes_[i];
    if (!is_ready(process.control.get())) continue;
    process.role == Role::kFront ? TakeNews(process) : TakeZygoteNews(process);
  }
  if (is_ready(signals_->fd().get())) TakeSignals();
  if (is_ready(watch_.fd())) watch_.Read();
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    Process& process = *processes_[i];
    if (is_ready(process.output.get())) TakeOutput(process);
    if (process.alive() && is_ready(process.child->pidfd().get())) TakeDeath(process);
  }
  BuryTheDead();
  control_->Serve([this](std::string_view question, ControlSocket::Client from) {
    return AnswerQuestion(question, from);
  });
  CheckBooted();
  CheckReloaded();
  CheckWatch();
  BeginWantedReload();
  BeginWantedUpgrade();
  CheckAges();
  CheckMemory();
  CheckLoad();
  CheckDeadlines();
  BalancePool();
  StartWhatIsDue();
  BuryTheDead();
  TellWorkers();
  TellService();
}

std::vector<int> Box::WantedFds() const {
  std::vector<int> wanted = {signals_->fd().get()};
  if (watch_.fd() >= 0) wanted.push_back(watch_.fd());
  for (const auto& process : processes_) {
    if (process->control.valid()) wanted.push_back(process->control.get());
    if (process->output.valid()) wanted.push_back(process->output.get());
    if (process->alive()) wanted.push_back(process->child->pidfd().get());
  }
  control_->Wanted(wanted);
  return wanted;
}

std::optional<Duration> Box::UntilNextDeadline() const {
  Time next = deadline_;
  for (const auto& process : processes_) {
    if (phase_ < Phase::kEnding && process->life == Life::kWaiting && IsDue(*process)) {
      next = std::min(next, process->start_at);
    }
    next = std::min(next, process->end_by);
    if (process->role == Role::kAppWorker && process->life == Life::kReady) {
      next = std::min(next, memory_at_);
    }
    if (process->leaves_because.empty()) next = std::min(next, process->recycle_at);
    if (process->role == Role::kFront && process->alive()) {
      next = std::min(next, process->spoke_at + kHeartbeatTimeout);
    }
  }
  if (phase_ == Phase::kBooting && !boot_noticed_) next = std::min(next, began_ + kBootNotice);
  if (phase_ == Phase::kServing && NumberChanges()) next = std::min(next, load_at_);
  next = std::min({next, notifier_.next(), watch_.next()});
  if (next == Time::max()) return std::nullopt;
  return next - Now();
}

// --- what others say ---------------------------------------------------------

void Box::TakeSignals() {
  while (const auto number = signals_->Next()) {
    TakeSignal(*number);
  }
}

void Box::ReopenLogs() {
  for (const std::string& path : settings().logs) {
    const Status made = os::MakeFileFor(*settings().confinement.user, path);
    if (!made.ok()) outside_.log.Warning("{}", made.error().message);
  }
  if (const Status reopened = outside_.log.Reopen(); !reopened.ok()) {
    outside_.log.Warning("{}", reopened.error().message);
  }
  for (const auto& process : processes_) {
    if (process->role == Role::kFront) TellFront(*process, {{"reopen", true}});
  }
}

void Box::TakeSignal(int number) {
  switch (number) {
    case SIGCHLD:
      return;  // somebody's death: TakeDeath() and BuryTheDead() see whose
    case SIGUSR1:
      return ReopenLogs();
    case SIGUSR2:
      upgrade_wanted_ = true;
      return;
    case SIGHUP:
      ReopenLogs();
      return AskReload(std::nullopt);
    default:
      break;
  }
  if (phase_ >= Phase::kDraining) {
    outside_.log.Warning("{} again: ending at once", os::SignalName(number));
    const bool hooks_had_time = phase_ == Phase::kEnding;
    SignalAll(SIGKILL);
    if (hooks_had_time && now_->zygote != nullptr) now_->zygote->Signal(SIGKILL);
    BeginEnd();
    return;
  }
  outside_.log.Info("{}: finishing what has begun; once more ends at once", os::SignalName(number));
  BeginDrain();
}

void Box::TakeNews(Process& front) {
  while (true) {
    const auto message = os::ReceiveMessage(front.control, kControlBytesMax);
    if (message.ok() && !message.value()) return;
    if (!message.ok() || message.value()->bytes.empty()) {
      front.control.Reset();  // it is going: its death follows
      return;
    }
    front.spoke_at = Now();
    const auto news = ParseNews(message.value()->bytes);
    if (!news) {
      outside_.log.Warning("the front said what nobody understands: {}",
                           message.value()->bytes.substr(0, 200));
    } else if (news->kind == News::Kind::kFrontReady) {
      if (front.life == Life::kBooting) front.life = Life::kReady;
    } else {
      Take(*news);
    }
  }
}

void Box::Take(const News& news) {
  switch (news.kind) {
    case News::Kind::kFrontReady:
    case News::Kind::kFrontAlive:
      return;
    case News::Kind::kWorkerReady:
      return TakeWorkerReady(news);
    case News::Kind::kWorkerStuck:
      return TakeWorkerStuck(news);
    case News::Kind::kWorkerRetired:
      if (Process* worker = FindWorker(news.worker)) worker->retired = true;
      return;
    case News::Kind::kWorkerSpent:
      if (Process* worker = FindWorker(news.worker)) {
        Replace(*worker, "it has run as many requests as it is to");
      }
      return;
  }
}

void Box::TakeWorkerReady(const News& news) {
  Process* worker = FindWorker(news.worker);
  if (worker == nullptr || worker->life != Life::kBooting) return;
  worker->life = Life::kReady;
  worker->end_by = Time::max();
  worker_was_ready_ = true;
  // The front may be faster than the zygote, or the zygote gone.
  if (!worker->alive()) Adopt(*worker, news.pid);
  Generation& generation = *worker->generation;
  if (!news.app.empty()) generation.app = news.app;
  if (!news.python.empty()) generation.python = news.python;
  ReleaseHeld(*worker);
  if (const Duration age = generation.settings.recycle_age; age > Duration()) {
    // Not all at the same time.
    const auto most = static_cast<std::uint64_t>(age.count()) / kAgeJitter;
    const Duration jitter(static_cast<Duration::rep>(os::Random64() % (most + 1)));
    worker->recycle_at = Now() + age + jitter;
  }
  if (reload_ != nullptr && reload_->first == worker) TakeOver();
}

// Its successor is started at once; it finishes what can end, or where nothing in it runs is killed.
void Box::TakeWorkerStuck(const News& news) {
  Process* worker = FindWorker(news.worker);
  if (worker == nullptr || !worker->alive()) return;
  const bool ends_already = worker->life == Life::kEnding;
  if (ends_already && !news.gil) return;
  outside_.log.Warning("{} is stuck: {}; it is ended and replaced", worker->name(), news.reason);
  worker->leaves_because = news.reason;
  EndWorker(*worker);
  if (!ends_already) outside_.died(Role::kAppWorker);
  if (news.gil) worker->Signal(SIGKILL);
}

void Box::TakeZygoteNews(Process& zygote) {
  while (zygote.control.valid()) {
    const auto message = os::ReceiveMessage(zygote.control, kZygoteMessageBytesMax);
    if (message.ok() && !message.value()) return;
    if (!message.ok() || message.value()->bytes.empty()) {
      zygote.control.Reset();
      return;
    }
    const auto news = ParseZygoteNews(message.value()->bytes);
    if (news) {
      Take(zygote, *news);
    } else {
      outside_.log.Warning("the zygote said what nobody understands: {}",
                           message.value()->bytes.substr(0, 200));
    }
  }
}

void Box::Take(Process& zygote, const ZygoteNews& news) {
  Generation& generation = *zygote.generation;
  if (news.kind == ZygoteNews::Kind::kForked || news.kind == ZygoteNews::Kind::kForkFailed) {
    if (zygote.standby && zygote.standby->child.pid() == news.pid) zygote.standby.reset();
    return TakeForked(news);
  }
  if (news.kind == ZygoteNews::Kind::kStandby) {
    auto child = os::Adopt(news.pid);
    if (child.ok()) zygote.standby.emplace(std::move(child).value(), Now());
    return;  // else it has ended, and the next worker is forked when it is asked for
  }
  if (zygote.life != Life::kBooting) return;
  zygote.end_by = Time::max();
  generation.app = news.app;
  generation.python = news.python;
  if (news.kind == ZygoteNews::Kind::kReady) {
    zygote.life = Life::kReady;
    ReleaseHeld(zygote);
    wanted_told_ = 0;
    TellOfTakeOver();
    const bool preloads = generation.settings.preload != Preload::kOff;
    if (preloads) {
      generation.preloaded = fmt::format("preloaded in {:.1f} s, {} MiB shared",
                                         SecondsOf(Now() - zygote.started),
                                         news.bytes >> 20U);
    }
    if (preloads && phase_ != Phase::kBooting) {
      outside_.log.Info(
          "{}: {} is {}", zygote.name(), generation.settings.target, generation.preloaded);
    }
  } else {
    ReleaseHeld(zygote);
    outside_.log.Warning(
        "{} cannot be forked after its import: {}; each worker imports it by itself",
        generation.settings.target,
        news.reason);
    generation.zygote = nullptr;
    zygote.goes = true;
    zygote.life = Life::kEnding;
    zygote.Signal(SIGKILL);
    if (generation.settings.hooks) {  // which another runs, that does not import the app
      generation.settings.preload = Preload::kOff;
      generation.zygote = &AddZygote(zygote.generation);
    }
  }
  if (IsOfReload(zygote) && reload_->first == nullptr) ContinueReload();
}

void Box::TakeForked(const ZygoteNews& news) {
  Process* worker = FindWorker(news.worker);
  if (worker == nullptr || !worker->awaited()) return;
  if (news.kind == ZygoteNews::Kind::kForked) return Adopt(*worker, news.pid);
  FailFork(*worker, news.reason);
}

void Box::Adopt(Process& worker, pid_t pid) {
  auto child = os::Adopt(pid);
  if (!child.ok()) return FailFork(worker, child.error().message);
  worker.child.emplace(std::move(child).value());
  if (worker.goes) EndWorker(worker);
}

void Box::FailFork(Process& worker, const std::string& reason) {
  TakeLastOutput(worker);  // the traceback of a hook
  worker.life = Life::kWaiting;
  worker.end_by = Time::max();
  const std::string story = fmt::format("{} cannot be forked: {}", worker.name(), reason);
  if (IsOfReload(worker)) return FailReload(story, &worker);
  if (phase_ == Phase::kBooting && !worker_was_ready_) return FailBoot(worker, story);
  ReleaseHeld(worker);
  worker.start_at = Now() + worker.backoff.Died();
  outside_.log.Error("{}", story);
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
  // One story is told, not one a worker; and what the hooks say of the end.
  if (boot_failed_ && !HoldsHooks(process)) return;
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

std::optional<std::string> Box::AnswerQuestion(std::string_view question,
                                               ControlSocket::Client from) {
  const json asked = json::parse(question, nullptr, /*allow_exceptions=*/false);
  const std::string what = Text(At(asked, "ask"));
  if (what == "status") return StatusText();
  if (what == "reload") {
    AskReload(from);
    return std::nullopt;
  }
  if (what == "upgrade") {
    if (phase_ >= Phase::kDraining) return json{{"error", "the box is ending"}}.dump();
    upgrade_wanted_ = true;
    upgrade_askers_.push_back(from);
    return std::nullopt;
  }
  if (what == "stop") {
    outside_.log.Info("asked to stop: finishing what has begun");
    if (phase_ < Phase::kDraining) BeginDrain();
    return json{{"stopping", true}}.dump();
  }
  return json{{"error", "it is asked for status, reload, upgrade or stop"}}.dump();
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
  if (process.control.valid()) {
    process.role == Role::kFront ? TakeNews(process) : TakeZygoteNews(process);
    process.control.Reset();
  }
  if (process.role == Role::kFront) {
    front_died_at_ = Now();
    outside_.front_ended(process.first_lane);
  }
  const std::string name = process.name();
  if (process.role == Role::kAppWorker) {
    TellHooks(IsOfReload(process) ? reload_->generation->zygote : now_->zygote,
              {{"ended", process.child->pid()}, {"worker", process.number}});
  }
  // It ends by itself, but not where it is stopped; nor may it be a worker that we know nothing of.
  if (process.standby) process.standby->child.Signal(SIGKILL);
  process.standby.reset();
  process.child.reset();
  process.end_by = Time::max();
  const bool asked_for = process.life == Life::kEnding;
  if (phase_ < Phase::kDraining && !asked_for) outside_.died(process.role);
  AfterDeath(process, *status, name);
  process.life = Life::kWaiting;
}

void Box::AfterDeath(Process& process, const os::ExitStatus& status, const std::string& name) {
  if (phase_ >= Phase::kEnding) return ContinueEnd();
  if (IsOfReload(process) && process.life != Life::kEnding) {
    const bool unwell = status.signal == 0 && status.status == kHealthFailed;
    const bool unloaded = status.signal == 0 && status.status == kImportFailed;
    const std::string& target = process.generation->settings.target;
    return FailReload(
        unwell
            ? fmt::format(
                  "{} does not answer {} as it should", target, process.generation->settings.health)
        : unloaded ? fmt::format("{} could not be loaded", target)
                   : fmt::format("{} ended before it was ready: {}", name, status.text()),
        &process);
  }
  if (process.role == Role::kFront && (phase_ == Phase::kDraining || process.goes)) {
    if (status.status != 0 || status.signal != 0) {
      outside_.log.Warning("{} did not drain: {}", name, status.text());
    }
    return AfterFrontDeath(process);
  }
  if (process.role == Role::kZygote) {  // those that it was to fork wait for the next one
    for (const auto& worker : processes_) {
      const bool asked = worker->role == Role::kAppWorker && worker->awaited() &&
                         worker->generation == process.generation;
      if (asked) worker->life = Life::kWaiting;
    }
  }
  TellOfTakeOver();
  if (process.goes) return;
  const bool never_served =
      process.role == Role::kFront ? process.life == Life::kBooting : !worker_was_ready_;
  if (phase_ == Phase::kBooting && never_served) {
    const bool import_failed =
        process.role != Role::kFront && status.signal == 0 && status.status == kImportFailed;
    FailBoot(process,
             import_failed ? fmt::format("{} could not be loaded", settings().target)
                           : fmt::format("{} ended before it was ready: {}", name, status.text()));
    return;
  }
  PlanRestart(process, status, name);
}

// A front that has drained: the workers that served it alone go too.
void Box::AfterFrontDeath(Process& front) {
  front.goes = true;
  for (const auto& worker : processes_) {
    if (worker->role == Role::kAppWorker && worker->generation->front == &front &&
        worker->generation != now_) {
      EndWorker(*worker);
    }
  }
  const bool others = std::any_of(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->role == Role::kFront && process->alive();
  });
  if (phase_ == Phase::kDraining && !others) BeginEnd();
}

// What it has said while it booted; where that was too much to hold, its last lines.
std::string TakeStory(Process& process) {
  const auto& last = process.lines.last();
  std::vector<std::string> lines = std::exchange(process.held, {});
  if (lines.empty()) lines.assign(last.begin(), last.end());
  return fmt::format("{}", fmt::join(lines, "\n"));
}

void Box::FailBoot(Process& process, const std::string& reason) {
  const std::string story = TakeStory(process);
  if (!story.empty()) outside_.print(story + '\n');
  outside_.print(fmt::format("onebox: {}\n", reason));
  if (process.role != Role::kFront) {
    outside_.print(fmt::format("  app     {}\n  folder  {}\n  python  {}\n",
                               settings().target,
                               settings().chdir,
                               settings().python));
    if (settings().watch.on) {
      return AwaitChange(story, reason);
    }
  }
  boot_failed_ = true;
  exit_status_ = 1;
  notifier_.Stopping(reason);
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
      fmt::format("{} ended after {:.1f} s: {}; it starts again {}{}",
                  name,
                  SecondsOf(lived),
                  status.text(),
                  wait == Duration() ? "at once" : fmt::format("in {:.1f} s", SecondsOf(wait)),
                  deaths == 1 ? "" : fmt::format(" (death {} in a row)", deaths));
  if (process.lines.last().empty()) {
    outside_.log.Error("{}", story);
    return;
  }
  outside_.log.Block(telemetry::LogLevel::kError,
                     fmt::format("{}; its last words:", story),
                     fmt::format("{}", fmt::join(process.lines.last(), "\n")));
}

// Those that go and have gone; and the orphans that the app has left to us.
void Box::BuryTheDead() {
  std::erase_if(processes_, [this](const auto& process) {
    const bool gone = process->goes && !process->alive() && !process->awaited();
    return gone && process.get() != now_->front && process.get() != now_->zygote;
  });
  std::vector<pid_t> ours;
  bool awaited = false;  // a worker that the zygote has forked or will: its pid is not known yet
  for (const auto& process : processes_) {
    if (process->alive()) ours.push_back(process->child->pid());
    awaited = awaited || process->awaited();
    auto& standby = process->standby;
    if (standby && standby->child.Reap()) standby.reset();
    if (standby) ours.push_back(standby->child.pid());
  }
  if (!awaited) os::ReapStrangers(ours);
}

// --- the pool ----------------------------------------------------------------

void Box::BalancePool() {
  if (phase_ >= Phase::kEnding || phase_ == Phase::kBroken || boot_failed_) return;
  std::vector<Member> members;
  for (const auto& process : processes_) {
    // The first worker of a reload is nobody's member yet; those of a front that drains never again.
    const bool member = process->role == Role::kAppWorker && !IsOfReload(*process) &&
                        process->generation->front == now_->front;
    if (!member) continue;
    members.push_back({.number = process->number,
                       .life = process->life,
                       .leaves = !process->leaves_because.empty(),
                       .started = process->started});
  }
  const Moves moves = Balance(members, {.wanted = Wanted(), .spare_max = SpareWorkers(Room())});
  for (const int number : moves.end) {
    EndWorker(*FindWorker(number));
  }
  for (unsigned i = 0; i < moves.start; ++i) {
    AddWorker(now_);
  }
}

// What memory has room for, by what it is measured to be.
MemoryRoom Box::Room() const {
  MemoryRoom room{.free = os::MemoryAvailable(), .wanted = Wanted()};
  std::uint64_t used = 0;
  for (const auto& process : processes_) {
    if (process->role != Role::kAppWorker || process->life == Life::kWaiting) continue;
    ++room.present;
    used += process->memory.bytes();
    room.largest = std::max(room.largest, process->memory.bytes());
  }
  if (const std::uint64_t most = settings().memory_max; most > 0) {
    room.free = std::min(room.free, most - std::min(most, used));
  }
  return room;
}

// Another is to take its place; until then it serves.
void Box::Replace(Process& worker, std::string reason) {
  if (!worker.leaves_because.empty() || worker.life == Life::kEnding) return;
  outside_.log.Info("{} is replaced: {}", worker.name(), reason);
  worker.leaves_because = std::move(reason);
}

// It takes no more requests, finishes those that it has, and goes.
void Box::EndWorker(Process& worker) {
  worker.goes = true;
  if (!worker.alive() || worker.life == Life::kEnding) return;  // Adopt() ends what is awaited
  worker.life = Life::kEnding;
  TellFront(*worker.generation->front, {{"retire", worker.number}});
  worker.end_by = Now() + worker.generation->settings.request_timeout + kWorkerGrace;
  worker.Signal(SIGTERM);
}

void Box::CheckAges() {
  for (const auto& process : processes_) {
    if (process->recycle_at <= Now()) Replace(*process, "it is as old as it is to get");
  }
}

// Twice as far as half of the limit may be a matter of seconds.
bool Box::IsNearItsLimit(const Process& worker) const {
  const MemoryLimits& limits = worker.generation->settings.memory;
  const std::uint64_t limit = limits.soft > 0 ? limits.soft : limits.hard;
  return limit > 0 && worker.memory.bytes() > limit / 2;
}

void Box::CheckMemory() {
  if (Now() < memory_at_) return;
  bool near = false;
  for (const auto& process : processes_) {
    if (process->role != Role::kAppWorker || process->life != Life::kReady || !process->alive()) {
      continue;
    }
    const auto text = os::ReadKernelFile(
        fmt::format("/proc/{}/smaps_rollup", process->child->pid()), kRollupBytesMax);
    const auto reading = text.ok() ? ParseRollup(text.value()) : std::nullopt;
    if (!reading) continue;  // it has just died
    const MemoryLimits& limits = process->generation->settings.memory;
    process->memory.Take(*reading, limits);
    near = near || IsNearItsLimit(*process);
    const auto story = [&](std::string_view which, std::uint64_t limit) {
      return fmt::format("it has {}, and {} is {}",
                         FormatBytes(process->memory.bytes() >> 20U << 20U),
                         which,
                         FormatBytes(limit));
    };
    switch (process->memory.Judge(limits)) {
      case WorkerMemory::Verdict::kFine:
        break;
      case WorkerMemory::Verdict::kReplace:
        Replace(*process, story("app.memory_soft", limits.soft));
        break;
      case WorkerMemory::Verdict::kEnd:
        Replace(*process, story("app.memory_hard", limits.hard));
        EndWorker(*process);
        break;
    }
  }
  memory_at_ = Now() + (near ? kMemoryPauseNear : kMemoryPause);
}

// How many workers there are to be, once a second.
void Box::CheckLoad() {
  if (phase_ != Phase::kServing || !NumberChanges() || Now() < load_at_) return;
  load_at_ = Now() + kLoadPause;
  const os::CpuTimes cpu = os::ReadCpuTimes();
  const os::CpuTimes before = std::exchange(cpu_before_, cpu);
  const std::uint64_t ticks = cpu.all - before.all;
  const Traffic traffic = outside_.traffic();
  const unsigned wanted = Wanted();
  const WorkersByClock by_clock =
      settings().workers_by_clock ? settings().workers_by_clock() : WorkersByClock();
  scaling_->Take({.waiting = traffic.queue,
                  .busy = traffic.workers_busy,
                  .threads = settings().threads,
                  .requests = traffic.requests,
                  .cpu_idle = ticks == 0 ? 0
                                         : static_cast<double>(cpu.idle - before.idle) /
                                               static_cast<double>(ticks),
                  .settled = CountWorkers().ready == wanted && reload_ == nullptr,
                  .memory_allows = SpareWorkers(Room()) > 0,
                  .by_clock = by_clock.count,
                  .clock_reason = by_clock.reason},
                 Now());
  if (Wanted() == wanted) return;
  outside_.log.Info("{} workers instead of {}: {}", Wanted(), wanted, scaling_->reason());
}

void Box::TellWorkers() {
  if (Wanted() != wanted_told_) {
    wanted_told_ = Wanted();
    TellHooks(now_->zygote, {{"workers", wanted_told_}});
  }
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
    if (process->life != Life::kReady) continue;
    ++now.ready;
    now.threads += process->generation->settings.threads;
  }
  return now;
}

// --- starts ------------------------------------------------------------------

Process& Box::AddFront(const std::shared_ptr<Generation>& generation) {
  Process& front =
      *processes_.emplace_back(std::make_unique<Process>(Role::kFront, generation, outside_.clock));
  const bool first_half_taken =
      std::any_of(processes_.begin(), processes_.end(), [&](const auto& one) {
        return one.get() != &front && one->role == Role::kFront && one->first_lane == 0;
      });
  front.first_lane = first_half_taken ? outside_.lanes_max : 0;
  return front;
}

Process& Box::AddZygote(const std::shared_ptr<Generation>& generation) {
  Process& zygote = *processes_.emplace_back(
      std::make_unique<Process>(Role::kZygote, generation, outside_.clock));
  zygote.holds = true;
  return zygote;
}

Process& Box::AddWorker(const std::shared_ptr<Generation>& generation) {
  int number = 1;
  while (FindWorker(number) != nullptr)
    ++number;
  Process& worker = *processes_.emplace_back(
      std::make_unique<Process>(Role::kAppWorker, generation, outside_.clock));
  worker.number = number;
  worker.holds = phase_ == Phase::kBooting || IsOfReload(worker);
  return worker;
}

// What waits for its time, and for the zygote that is to fork it.
bool Box::IsDue(const Process& process) const {
  if (process.goes) return false;
  const Process* zygote = process.generation->zygote;
  return process.role != Role::kAppWorker || zygote == nullptr || zygote->life == Life::kReady;
}

void Box::StartWhatIsDue() {
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    if (phase_ >= Phase::kEnding) return;
    Process& process = *processes_[i];
    if (process.life == Life::kWaiting && IsDue(process) && process.start_at <= Now()) {
      Start(process);
    }
  }
}

void Box::Start(Process& process) {
  const bool again = process.started != Time{};
  process.started = Now();
  process.backoff.Started();
  process.lines = {};
  const Status launched = Launch(process);
  if (launched.ok()) {
    process.life = Life::kBooting;
    if (process.role != Role::kFront) {
      process.end_by = process.started + process.generation->settings.boot_timeout;
    }
    if (process.awaited()) process.end_by += kWorkerGrace;  // a hook that hangs shows its stack
    if (again) ++process.restarts;
    outside_.started(process.role);
    return;
  }
  const std::string& failure = launched.error().message;
  if (IsOfReload(process)) {
    return FailReload(fmt::format("{} cannot be started: {}", process.name(), failure), &process);
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

Status Box::Launch(Process& process) {
  switch (process.role) {
    case Role::kFront:
      return LaunchFront(process);
    case Role::kZygote:
      return LaunchZygote(process);
    case Role::kAppWorker:
      return LaunchWorker(process);
  }
  CHECK(false);
}

Status Box::LaunchFront(Process& front) {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  os::Child child = TRY(os::Fork([&] {
    control.ours.Reset();
    os::Confinement confinement = front.generation->settings.confinement;
    confinement.no_new_privileges = true;  // it starts no programs
    if (confinement.user) os::OwnStandardOutput();
    if (const Status confined = os::Confine(confinement); !confined.ok()) {
      outside_.print(fmt::format("onebox: the front: {}\n", confined.error().message));
      return 1;
    }
    return front.generation->settings.front(BecomeFront(front, std::move(control.theirs)));
  }));
  front.child.emplace(std::move(child));
  front.control = std::move(control.ours);
  front.spoke_at = Now();
  if (!broken_.empty() && !IsOfReload(front)) TellBroken(front);
  return Done();
}

// In the front's own process, after the fork: keeps what is handed over and closes the rest.
FrontHeritage Box::BecomeFront(Process& front, os::Fd control) {
  state_lock_.Reset();
  signals_->Close();
  control_->Close();
  notifier_.Close();
  watch_.Close();
  FrontHeritage heritage{.listeners = {},
                         .admin = {},
                         .attach = std::move(front.attach),
                         .control = std::move(control),
                         .first_lane = front.first_lane,
                         .waits_for_worker = IsOfReload(front)};
  for (const auto& process : processes_) {
    process->child.reset();
    process->output.Reset();
    process->control.Reset();
    process->attach.clear();
  }
  Listeners::Sockets sockets = listeners_.Take(front.generation->settings.listen);
  heritage.listeners = std::move(sockets.app);
  heritage.admin = std::move(sockets.admin);
  return heritage;
}

std::vector<std::string> AppWords(const Generation& generation, std::string_view role) {
  const BoxSettings& settings = generation.settings;
  std::vector<std::string> words = {settings.python,
                                    settings.python_side,
                                    std::string(role),
                                    "--attach",
                                    generation.front->attach_name,
                                    "--reactors",
                                    std::to_string(settings.reactors),
                                    "--workers",
                                    std::to_string(settings.workers),
                                    "--threads",
                                    std::to_string(settings.threads),
                                    "--target",
                                    settings.target,
                                    "--chdir",
                                    settings.chdir};
  if (settings.worker_class == WorkerClass::kGevent) {
    words.insert(words.end(), {"--worker-class", "gevent"});
  }
  if (!settings.health.empty()) words.insert(words.end(), {"--health", settings.health});
  for (const std::string& path : settings.warm_up) {
    words.insert(words.end(), {"--warm-up", path});
  }
  words.insert(words.end(), settings.worker_words.begin(), settings.worker_words.end());
  return words;
}

Status Box::LaunchZygote(Process& zygote) {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  std::vector<std::string> words = AppWords(*zygote.generation, "zygote");
  const BoxSettings& settings = zygote.generation->settings;
  constexpr std::array<std::string_view, 3> kPreloads = {"off", "auto", "on"};
  words.insert(words.end(),
               {"--preload", std::string(kPreloads[static_cast<std::size_t>(settings.preload)])});
  zygote.hooks = settings.hooks;
  if (settings.hooks) {
    const Duration hook_timeout = std::min(kHookTimeout, settings.boot_timeout);
    words.insert(words.end(), {"--hook-seconds", fmt::format("{:.3f}", SecondsOf(hook_timeout))});
    if (!worker_was_ready_) words.emplace_back("--first");
    if (worker_was_ready_ && !IsOfReload(zygote)) hooks_serve_ = false;
  }
  os::Spawned spawned = TRY(os::Spawn({.words = std::move(words),
                                       .environment = settings.environment,
                                       .control = std::move(control.theirs),
                                       .confinement = settings.confinement}));
  zygote.child.emplace(std::move(spawned.child));
  zygote.output = std::move(spawned.output);
  zygote.control = std::move(control.ours);
  return Done();
}

Status Box::LaunchWorker(Process& worker) {
  if (const Process* zygote = worker.generation->zygote) {
    os::OutputPipe output = TRY(os::NewOutputPipe());
    TRY(AskForWorker(zygote->control, worker.number, output.writer));
    worker.output = std::move(output.reader);
    return Done();  // TakeForked() has the rest
  }
  std::vector<std::string> words = AppWords(*worker.generation, "worker");
  words.insert(words.end(), {"--number", std::to_string(worker.number)});
  os::Spawned spawned = TRY(os::Spawn({.words = std::move(words),
                                       .environment = worker.generation->settings.environment,
                                       .confinement = worker.generation->settings.confinement}));
  worker.child.emplace(std::move(spawned.child));
  worker.output = std::move(spawned.output);
  return Done();
}

// --- time --------------------------------------------------------------------

void Box::CheckBooted() {
  if (phase_ != Phase::kBooting) return;
  const bool booted = CountWorkers().ready == Wanted() && front().life == Life::kReady;
  if (booted) {
    phase_ = Phase::kServing;
    std::string app = fmt::format("  app       {}", settings().target);
    if (!now_->app.empty()) app += fmt::format(", {}", now_->app);
    app += now_->python.empty() ? fmt::format(", {}", settings().python)
                                : fmt::format(", Python {}", now_->python);
    if (!now_->preloaded.empty()) app += fmt::format(", {}", now_->preloaded);
    outside_.print(fmt::format("{}\n  ready in {:.1f} s\n", app, SecondsOf(Now() - began_)));
    notifier_.Ready();
    return;
  }
  if (boot_noticed_ || Now() < began_ + kBootNotice) return;
  boot_noticed_ = true;
  outside_.print(fmt::format("  waiting for {} to load; its output is shown when it has\n",
                             settings().target));
}

void Box::CheckHeartbeat(Process& front) {
  if (!front.alive() || front.life == Life::kEnding) return;
  if (Now() < front.spoke_at + kHeartbeatTimeout) return;
  outside_.log.Error("{} has not been heard of for {:.0f} s; it is killed",
                     front.name(),
                     SecondsOf(kHeartbeatTimeout));
  front.spoke_at = Now();  // once is enough
  front.Signal(SIGKILL);
}

void Box::CheckDeadlines() {
  for (const auto& process : processes_) {
    if (process->role == Role::kFront) CheckHeartbeat(*process);
    if (Now() < process->end_by) continue;
    process->end_by = Time::max();
    if (process->role == Role::kFront) {
      outside_.log.Warning("{} is over its drain_timeout; it is killed", process->name());
    } else if (process->life == Life::kEnding) {
      outside_.log.Warning("{} has not ended in time; it is killed", process->name());
    } else {
      outside_.log.Error("{} was not ready within {:.0f} s; it is killed",
                         process->name(),
                         SecondsOf(process->generation->settings.boot_timeout));
    }
    process->Signal(SIGKILL);
    const Process* zygote = process->generation->zygote;
    if (process->awaited() && zygote != nullptr) zygote->Signal(SIGKILL);  // it has not forked it
  }
  if (Now() < deadline_) return;
  deadline_ = Time::max();
  if (phase_ == Phase::kEnding) SignalAll(SIGKILL);
}

// --- reload ------------------------------------------------------------------

void Box::AskReload(std::optional<ControlSocket::Client> asker) {
  std::vector<ControlSocket::Client> askers;
  if (asker) askers.push_back(*asker);
  if (phase_ >= Phase::kDraining) {
    return AnswerReload({{"error", "the box is ending"}}, askers);
  }
  reload_wanted_ = true;
  reload_askers_.insert(reload_askers_.end(), askers.begin(), askers.end());
}

// Nothing else is under way, and there is one front.
bool Box::IsAtRest() const {
  const auto fronts = std::count_if(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->role == Role::kFront;
  });
  const bool settled = phase_ == Phase::kServing || phase_ == Phase::kBroken;
  return reload_ == nullptr && settled && fronts == 1;
}

// One at a time; who asks meanwhile shares the next one, which reads what has changed since.
void Box::BeginWantedReload() {
  if (!reload_wanted_ || !IsAtRest()) return;
  reload_wanted_ = false;
  BeginReload(std::exchange(reload_askers_, {}));
}

void Box::BeginReload(std::vector<ControlSocket::Client> askers) {
  reload_ = std::make_unique<Reload>();
  reload_->askers = std::move(askers);
  reload_->began = Now();
  notifier_.Reloading();
  auto read = outside_.read_settings();
  if (!read.ok()) return FailReload(read.error().message, nullptr);
  reload_->generation = std::make_shared<Generation>(
      Generation{.number = now_->number + 1, .settings = std::move(read).value()});
  Generation& next = *reload_->generation;
  next.front = now_->front;
  if (next.settings.state != settings().state) {
    return FailReload("state cannot be changed by a reload", nullptr);
  }
  if (next.settings.reactors > outside_.lanes_max) {
    return FailReload(fmt::format("a reload can raise front.reactors to {}; more need a new start",
                                  outside_.lanes_max),
                      nullptr);
  }
  if (next.settings.front_print != settings().front_print) {
    if (const Status opened = listeners_.Open(next.settings.listen); !opened.ok()) {
      return FailReload(opened.error().message, nullptr);
    }
    next.front = &AddFront(reload_->generation);
    if (const Status opened = OpenAttachSockets(*next.front); !opened.ok()) {
      return FailReload(opened.error().message, nullptr);
    }
  }
  outside_.log.Info("reload: generation {} is loaded", next.number);
  TellHooks(now_->zygote, {{"reload", true}});
  if (NeedsZygote(next.settings)) {
    next.zygote = &AddZygote(reload_->generation);
  } else {
    ContinueReload();
  }
}

// The app is loaded, or each worker loads it: one shows that it works.
void Box::ContinueReload() {
  reload_->first = &AddWorker(reload_->generation);
}

void Box::TakeOver() {
  const std::shared_ptr<Generation> before = std::exchange(now_, reload_->generation);
  reload_->taken_over = true;
  if (phase_ == Phase::kBroken) phase_ = Phase::kServing;
  watch_.Follow(settings().watch);
  const bool as_before = before->settings.workers == settings().workers &&
                         before->settings.scaling == settings().scaling;
  BeginScaling(as_before && NumberChanges() ? Wanted() : settings().workers);
  for (const auto& process : processes_) {
    if (process->generation != before) continue;
    if (process->role == Role::kAppWorker) process->leaves_because = "a reload";
    if (process->role == Role::kZygote && process->alive()) EndZygote(*process);
  }
  wanted_told_ = 0;
  hooks_serve_ = false;
  TellOfTakeOver();
  if (before->front == now_->front) {
    now_->front->generation = now_;  // where it dies, the next one is of this generation
    return;
  }
  before->front->goes = true;
  before->front->end_by = Now() + before->settings.drain_timeout + kDrainGrace;
  TellFront(*before->front, {{"drain", "gently"}});
  listeners_.Keep(settings().listen);
}

// What a hook has opened it closes in order; without hooks there is nothing to wait for.
void Box::EndZygote(Process& zygote) {
  zygote.goes = true;
  zygote.life = Life::kEnding;
  if (!zygote.hooks) return zygote.Signal(SIGKILL);
  zygote.control.Reset();
  zygote.end_by = Now() + kEndTimeout;
}

// When the zygote before and its workers have gone: a port that a hook has opened was theirs too.
void Box::TellOfTakeOver() {
  if (hooks_serve_) return;
  const bool others = std::any_of(processes_.begin(), processes_.end(), [this](const auto& one) {
    return one->role != Role::kFront && one->generation != now_ && one->alive();
  });
  if (others) return;
  hooks_serve_ = true;
  TellHooks(now_->zygote, {{"serves", true}});
}

void Box::CheckReloaded() {
  if (reload_ == nullptr || !reload_->taken_over) return;
  const auto ready =
      std::count_if(processes_.begin(), processes_.end(), [this](const auto& process) {
        return process->role == Role::kAppWorker && process->generation == now_ &&
               process->life == Life::kReady;
      });
  const bool old_ones_serve =
      std::any_of(processes_.begin(), processes_.end(), [this](const auto& process) {
        return process->role == Role::kAppWorker && process->generation != now_ &&
               process->generation->front == now_->front && process->alive() && !process->retired;
      });
  if (static_cast<unsigned>(ready) < Wanted() || old_ones_serve) return;
  const auto done = std::move(reload_);
  const double took = SecondsOf(Now() - done->began);
  outside_.log.Info("reload: generation {} serves, after {:.1f} s", now_->number, took);
  ShowWhole();
  notifier_.Ready();  // before the answer: systemd's own reload may be who has asked
  AnswerReload({{"reloaded", true}, {"generation", now_->number}, {"seconds", took}}, done->askers);
}

// The generation before serves on, as if nothing had been; where files are watched, the front shows
// what the culprit has said in its place.
void Box::FailReload(const std::string& reason, Process* culprit) {
  const std::string story = EndReload(reason, culprit);
  if (settings().watch.on) ShowBroken(story, reason);
}

// What the culprit has said.
std::string Box::EndReload(const std::string& reason, Process* culprit) {
  const auto failed = std::move(reload_);
  std::string story;
  if (culprit != nullptr) {
    story = TakeStory(*culprit);
    culprit->goes = true;
  }
  const std::string then = settings().watch.on
                               ? "the front shows why"
                               : fmt::format("generation {} serves on", now_->number);
  outside_.log.Block(telemetry::LogLevel::kError,
                     fmt::format("the reload has failed, {}: {}", then, reason),
                     story);
  if (failed->generation != nullptr) {
    for (const auto& process : processes_) {
      if (process->generation != failed->generation) continue;
      process->goes = true;
      process->holds = false;
      if (process->alive() && process.get() != culprit) process->life = Life::kEnding;
      process->Signal(SIGKILL);
    }
    listeners_.Keep(settings().listen);
  }
  notifier_.ReloadFailed();
  AnswerReload({{"error", reason}, {"story", story}, {"generation", now_->number}}, failed->askers);
  return story;
}

void Box::AnswerReload(const json& answer, const std::vector<ControlSocket::Client>& askers) {
  for (const ControlSocket::Client asker : askers) {
    control_->Reply(asker, answer.dump(-1, ' ', false, json::error_handler_t::replace));
  }
}

// --- files are watched -------------------------------------------------------

void Box::CheckWatch() {
  const auto changed = watch_.TakeDue();
  if (!changed || phase_ >= Phase::kDraining) return;
  outside_.log.Info("watch: {}", *changed);
  AskReload(std::nullopt);
}

// The start has failed. Nothing of the app is left, and a reload begins it anew.
void Box::AwaitChange(const std::string& story, const std::string& reason) {
  phase_ = Phase::kBroken;
  for (const auto& process : processes_) {
    if (process->role == Role::kFront) continue;
    process->goes = true;
    if (process->alive()) process->life = Life::kEnding;
    process->Signal(SIGKILL);
  }
  now_->zygote = nullptr;
  outside_.print("  watching its files: a change of them begins anew\n");
  ShowBroken(story, reason);
}

// Of a long one the end: it has the last call of a traceback, and the exception.
void Box::ShowBroken(const std::string& story, const std::string& reason) {
  broken_ = story.empty() ? reason : fmt::format("{}\n{}", story, reason);
  if (broken_.size() > kBrokenBytesMax) {
    broken_.erase(0, broken_.size() - kBrokenBytesMax);
    broken_.erase(0, broken_.find('\n') + 1);
  }
  TellBroken(front());
}

void Box::ShowWhole() {
  if (std::exchange(broken_, {}).empty()) return;
  for (const auto& process : processes_) {
    if (process->role == Role::kFront) TellFront(*process, {{"whole", true}});
  }
}

void Box::TellBroken(Process& front) const {
  if (!front.control.valid()) return;  // it is told when it has started
  const auto tell = [&]() -> Status {
    const os::Fd file = TRY(os::OpenMemory("onebox-broken"));
    TRY(os::WriteAll(file, broken_));
    const int descriptors[] = {file.get()};
    return os::SendDescriptors(front.control, json{{"broken", true}}.dump(), descriptors);
  };
  if (const Status told = tell(); !told.ok()) {
    outside_.log.Warning("the front cannot be told what is broken: {}", told.error().message);
  }
}

// --- another program in our place --------------------------------------------

// Everything that lives, and the sockets; what waits for its next start is started by the successor.
Succession Box::WhatIsLeft() const {
  Succession left{.generation = now_->number,
                  .listeners = listeners_.ForSuccessor(),
                  .state_lock = state_lock_.get(),
                  .control = control_->listener(),
                  .askers = {},
                  .processes = {}};
  for (const ControlSocket::Client asker : upgrade_askers_) {
    if (const int socket = control_->SocketOf(asker); socket >= 0) left.askers.push_back(socket);
  }
  for (const auto& process : processes_) {
    if (!process->alive()) continue;
    auto& one = left.processes.emplace_back();
    one.role = process->role;
    one.life = process->life;
    one.number = process->number;
    one.pid = process->child->pid();
    one.goes = process->goes || !process->leaves_because.empty();
    one.hooks = process->hooks;
    one.control = process->control.get();
    one.output = process->output.get();
    one.attach_name = process->attach_name;
    for (const os::Fd& socket : process->attach) {
      one.attach.push_back(socket.get());
    }
    one.first_lane = process->first_lane;
  }
  return left;
}

// This process stays: its children are the successor's, who makes a generation of its own beside them,
// as a reload does. So a successor that cannot serve is a reload that has failed.
void Box::BeginWantedUpgrade() {
  if (!upgrade_wanted_ || reload_wanted_ || !IsAtRest() || !front().alive()) return;
  upgrade_wanted_ = false;
  if (phase_ == Phase::kBroken) return FailUpgrade("its app cannot be loaded");
  if (const Status fits = outside_.check_successor(); !fits.ok()) {
    return FailUpgrade(fits.error().message);
  }
  const Succession left = WhatIsLeft();
  const auto file = Leave(left);
  if (!file.ok()) return FailUpgrade(file.error().message);
  std::vector<int> kept = left.askers;
  kept.insert(kept.end(), {left.state_lock, left.control, file.value().get()});
  for (const auto& [asked, socket] : left.listeners) {
    kept.push_back(socket);
  }
  for (const Succession::Left& process : left.processes) {
    kept.insert(kept.end(), {process.control, process.output});
    kept.insert(kept.end(), process.attach.begin(), process.attach.end());
  }
  std::for_each(kept.begin(), kept.end(), os::KeepAtExecute);
  outside_.log.Info("upgrade: another program takes our place");
  TellHooks(now_->zygote, {{"execute", true}});
  const Error failed = outside_.succeed(file.value());
  std::for_each(kept.begin(), kept.end(), os::CloseAtExecute);
  FailUpgrade(failed.message);
}

void Box::FailUpgrade(const std::string& reason) {
  outside_.log.Error("the upgrade has failed, onebox {} serves on: {}", settings().version, reason);
  AnswerReload({{"error", reason}}, std::exchange(upgrade_askers_, {}));
}

// The generation that we find serves until ours does.
Status Box::Inherit(const os::Fd& left_behind) {
  const Succession left = TRY(supervise::Inherit(left_behind));
  const auto own = [](int descriptor) {
    if (descriptor >= 0) os::CloseAtExecute(descriptor);
    return os::Fd(descriptor);
  };
  state_lock_ = own(left.state_lock);
  for (const auto& [asked, socket] : left.listeners) {
    TRY(listeners_.Adopt(asked, os::Fd(socket)));
  }
  listeners_.Adopt(outside_.handed_over);
  std::vector<os::Fd> waiting;
  for (const int asker : left.askers) {
    waiting.push_back(own(asker));
  }
  control_ = ControlSocket::Adopt(settings().state, own(left.control), std::move(waiting));
  signals_ = TRY(os::SignalQueue::Open(kSignals));
  os::AdoptOrphans();
  notifier_.Open(outside_.notify);
  watch_.Follow(settings().watch);
  now_->number = left.generation;
  now_->settings.front_print.clear();  // what that front was told is not known: it gets a successor
  unsigned serving = 0;
  for (const Succession::Left& one : left.processes) {
    auto child = os::Adopt(one.pid);
    if (!child.ok()) continue;  // it ended a moment ago
    Process& process =
        *processes_.emplace_back(std::make_unique<Process>(one.role, now_, outside_.clock));
    process.child.emplace(std::move(child).value());
    process.life = one.life;
    process.number = one.number;
    process.goes = one.goes && one.life == Life::kEnding;
    process.hooks = one.hooks;
    if (one.goes && !process.goes) process.leaves_because = "an upgrade";
    process.control = own(one.control);
    process.output = own(one.output);
    process.attach_name = one.attach_name;
    for (const int socket : one.attach) {
      process.attach.push_back(own(socket));
    }
    process.first_lane = one.first_lane;
    process.started = process.spoke_at = Now();
    process.backoff.Started();
    if (process.life == Life::kEnding) {
      process.end_by = Now() + settings().request_timeout + kWorkerGrace;
    }
    if (one.role == Role::kFront && !process.goes) now_->front = &process;
    if (one.role == Role::kZygote && one.life == Life::kReady) now_->zygote = &process;
    if (one.role == Role::kAppWorker && one.life != Life::kEnding) ++serving;
  }
  if (now_->front == nullptr) return OperatorError("the program before has left no front");
  now_->settings.workers = std::max(serving, 1U);
  now_->settings.scaling = {now_->settings.workers, now_->settings.workers};
  BeginScaling(now_->settings.workers);
  phase_ = Phase::kServing;
  worker_was_ready_ = true;
  reload_wanted_ = true;
  reload_askers_ = control_->clients();
  outside_.log.Info("onebox {} takes the place of the program before, and {} processes of it",
                    settings().version,
                    processes_.size());
  return Done();
}

// --- the end -----------------------------------------------------------------

void Box::BeginDrain() {
  if (reload_ != nullptr && !reload_->taken_over) EndReload("the box is ending", nullptr);
  AnswerReload({{"error", "the box is ending"}}, std::exchange(reload_askers_, {}));
  AnswerReload({{"error", "the box is ending"}}, std::exchange(upgrade_askers_, {}));
  if (!front().alive() || !worker_was_ready_) {
    BeginEnd();
    return;
  }
  phase_ = Phase::kDraining;
  notifier_.Stopping("draining: finishing what has begun");
  CloseListeners();
  for (const auto& process : processes_) {
    if (process->role != Role::kFront) continue;
    process->end_by = Now() + process->generation->settings.drain_timeout + kDrainGrace;
    TellFront(*process, {{"drain", true}});
  }
}

void Box::BeginEnd() {
  phase_ = Phase::kEnding;
  notifier_.Stopping("ending");
  deadline_ = Now() + kEndTimeout;
  CloseListeners();
  for (const auto& process : processes_) {
    process->end_by = Time::max();
    if (process->role == Role::kFront) TellFront(*process, {{"end", true}});
  }
  SignalAll(SIGTERM);
  ContinueEnd();
}

// The hooks come last, and have as long as all others had.
void Box::ContinueEnd() {
  if (!AnyAlive()) {
    phase_ = Phase::kGone;
    return;
  }
  const bool others = std::any_of(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->alive() && !HoldsHooks(*process);
  });
  if (others) return;
  for (const auto& process : processes_) {
    if (!process->alive() || process->life == Life::kEnding) continue;
    process->life = Life::kEnding;
    process->end_by = Now() + kEndTimeout;
    TellHooks(process.get(), {{"exit", true}});
  }
}

// But for what ends last; ContinueEnd() sees to that.
void Box::SignalAll(int number) const {
  for (const auto& process : processes_) {
    if (!HoldsHooks(*process)) process->Signal(number);
  }
}

void Box::TellFront(Process& front, const json& message) const {
  if (!front.control.valid()) return;
  const auto told = os::SendDescriptors(front.control, message.dump(), {});
  if (told.ok() || told.error().system_error == EPIPE) return;  // gone: its death says so itself
  outside_.log.Warning("the front cannot be told: {}", told.error().message);
}

// Nobody waits for what they do with it.
void Box::TellHooks(const Process* zygote, const json& message) const {
  if (zygote == nullptr || !zygote->hooks || zygote->goes || !zygote->control.valid()) return;
  const auto told = os::SendDescriptors(zygote->control, message.dump(), {});
  if (told.ok() || told.error().system_error == EPIPE) return;  // gone: its death says so itself
  outside_.log.Warning("the hooks cannot be told {}: {}", message.dump(), told.error().message);
}

// --- status ------------------------------------------------------------------

void Box::TellService() {
  if (!notifier_.on()) return;
  const Traffic traffic = outside_.traffic();
  notifier_.Tell(
      {.phase = kPhaseNames[static_cast<std::size_t>(phase_)],
       .reloading = reload_ != nullptr,
       .front_answers = front().life == Life::kReady && Now() < front().spoke_at + kFrontPause,
       .workers_ready = CountWorkers().ready,
       .workers_wanted = Wanted(),
       .requests = traffic.requests,
       .waiting = traffic.queue});
}

std::string Box::StatusText() const {
  const Traffic traffic = outside_.traffic();
  json processes = json::array();
  for (const auto& process : processes_) {
    processes.push_back(ProcessStatus(*process));
    if (process->standby) processes.push_back(StandbyStatus(*process));
  }
  const json status = {{"version", settings().version},
                       {"uptime", SecondsOf(Now() - began_)},
                       {"phase", kPhaseNames[static_cast<std::size_t>(phase_)]},
                       {"generation", now_->number},
                       {"reloading", reload_ != nullptr},
                       {"state", settings().state},
                       {"target", settings().target},
                       {"chdir", settings().chdir},
                       {"listen", listeners_.Shown(settings().listen)},
                       {"admin", listeners_.ShownAdmin(settings().listen)},
                       {"workers",
                        {{"total", Wanted()},
                         {"reason", scaling_->reason()},
                         {"ready", CountWorkers().ready},
                         {"threads", settings().threads},
                         {"units", NameOfUnits(settings().worker_class)},
                         {"busy", traffic.workers_busy},
                         {"concurrency", traffic.limit}}},
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
          {"generation", process.generation->number},
          {"leaves_because", process.leaves_because},
          {"memory", process.memory.bytes()},
          {"uptime", process.alive() ? SecondsOf(Now() - process.started) : 0.0},
          {"restarts", process.restarts}};
}

// As a worker's that has done nothing yet.
json Box::StandbyStatus(const Process& zygote) const {
  return {{"role", "standby"},
          {"number", 0},
          {"pid", zygote.standby->child.pid()},
          {"state", NameOf(Life::kReady)},
          {"generation", zygote.generation->number},
          {"leaves_because", ""},
          {"memory", 0},
          {"uptime", SecondsOf(Now() - zygote.standby->since)},
          {"restarts", 0}};
}

Process* Box::FindWorker(int number) {
  for (const auto& process : processes_) {
    if (process->role == Role::kAppWorker && process->number == number) return process.get();
  }
  return nullptr;
}

bool Box::AnyAlive() const {
  return std::any_of(
      processes_.begin(), processes_.end(), [](const auto& process) { return process->alive(); });
}

}  // namespace

std::string_view NameOfUnits(WorkerClass worker_class) {
  return worker_class == WorkerClass::kGevent ? "greenlets" : "threads";
}

int RunBox(const BoxSettings& settings, const Outside& outside, os::Fd inherited) {
  Box box(settings, outside);
  const Status opened = inherited.valid() ? box.Inherit(inherited) : box.Open();
  if (!opened.ok()) {
    outside.print(fmt::format("onebox: {}\n", opened.error().message));
    box.CloseListeners();
  }
  const int status = opened.ok() ? box.Run() : 1;
  box.RemoveControlPath();
  return status;
}

}  // namespace onebox::supervise
