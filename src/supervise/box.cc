// The life of a box: its loop, its deadlines, and its end.
#include "supervise/box.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "os/file.h"
#include "os/folder.h"
#include "os/poll.h"
#include "os/random.h"
#include "os/signal.h"
#include "supervise/status.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration kBootNotice = seconds(10);
constexpr Duration kLastWords = std::chrono::milliseconds(500);  // between a dump and the end

// How long a fork may say nothing. The front speaks once a second; so does the broker, but for the time that
// a disk makes it wait, and who obtains certificates every few.
Duration SilenceMax(Role role) {
  return role == Role::kFront ? seconds(10) : seconds(60);
}

}  // namespace

Status Box::Open() {
  MakeDataFolder();
  TRY(os::MakeFolders(settings().state));
  auto lock = os::LockFile(LockPath(settings().state));
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
  TRY(OpenAttachSockets(*now_->front, settings()));
  OpenBrokerSocket();
  FollowAcme({});
  AddZygotes(now_);
  return Done();
}

// Of a front: in the order of the apps.
Status Box::OpenAttachSockets(Process& process, const BoxSettings& settings) {
  process.attach_name = fmt::format("@onebox-{:016x}", os::Random64());
  for (const AppSettings& app : settings.apps) {
    TRY(OpenAttachSockets(process, AttachNameOf(process.attach_name, app), settings.reactors));
  }
  return Done();
}

Status Box::OpenAttachSockets(Process& process, const std::string& name, unsigned count) {
  for (unsigned reactor = 0; reactor < count; ++reactor) {
    const auto address = TRY(os::SocketAddress::Parse(fmt::format("unix:{}.{}", name, reactor)));
    process.attach.push_back(TRY(os::Listen(address, {.type = SOCK_SEQPACKET})));
  }
  return Done();
}

// Without it there are no tasks and no jobs, which most apps have not; all else goes on.
void Box::MakeDataFolder() {
  if (settings().data.empty()) return;
  const auto& user = settings().confinement.user;
  const Status made =
      user ? os::MakeFoldersFor(*user, settings().data) : os::MakeFolders(settings().data);
  if (made.ok()) return;
  outside_.log.Warning("nothing outlives a restart, no tasks and no jobs: {}",
                       made.error().message);
}

void Box::OpenBrokerSocket() {
  if (settings().data.empty() || !settings().broker) return;
  if (!os::FactsAt(settings().data)) return;  // the log has said so
  const auto open = [this]() -> Status {
    const auto address = TRY(os::SocketAddress::Parse("unix:" + BrokerPath()));
    broker_socket_ = TRY(os::Listen(address, {.for_all = settings().confinement.user.has_value()}));
    return Done();
  };
  if (const Status opened = open(); !opened.ok()) {
    outside_.log.Warning("no tasks and no jobs: {}", opened.error().message);
    return;
  }
  if (settings().broker_at_start) AddBroker();
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

void Box::RemovePaths() {
  if (control_) os::RemoveFile(control_->path());
  if (broker_socket_.valid()) os::RemoveFile(BrokerPath());
  if (!settings().data.empty()) os::RemoveFile(settings().data + "/purge");  // the front's
}

// What the others have said goes before what time says, and time stands still from before they were
// heard: so a supervisor that was stopped for a while, wherever in a turn, does not take its own absence
// for theirs. A deadline that passes within a turn is seen in the next.
void Box::Turn() {
  turn_began_ = Now();
  const std::vector<int> ready = os::WaitReadable(WantedFds(), UntilNextDeadline());
  const auto is_ready = [&ready](int fd) {
    return fd >= 0 && std::find(ready.begin(), ready.end(), fd) != ready.end();
  };
  // By index: a reload that fails or succeeds may add processes; BuryTheDead() alone removes some.
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    Process& process = *processes_[i];
    if (!is_ready(process.control.get())) continue;
    process.role == Role::kZygote ? TakeZygoteNews(process) : TakeNews(process);
  }
  if (broker_ == nullptr && is_ready(broker_socket_.get())) AddBroker();
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
  TakeSettings();
  BeginWantedUpgrade();
  TakeCheck();
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
  // The broker is started by whoever comes first.
  if (broker_ == nullptr && broker_socket_.valid() && phase_ < Phase::kDraining) {
    wanted.push_back(broker_socket_.get());
  }
  for (const auto& process : processes_) {
    if (process->control.valid()) wanted.push_back(process->control.get());
    if (process->output.valid()) wanted.push_back(process->output.get());
    if (process->alive()) wanted.push_back(process->child->pidfd().get());
  }
  for (const os::Inquiry* inquiry : Inquiries()) {
    inquiry->Wanted(wanted);
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
    if (IsWorker(process->role) && process->life == Life::kReady) {
      next = std::min(next, memory_at_);
    }
    if (process->leaves_because.empty()) next = std::min(next, process->recycle_at);
    if (IsFork(process->role) && process->alive()) {
      next = std::min(next, process->spoke_at + SilenceMax(process->role));
    }
  }
  if (phase_ == Phase::kBooting && !boot_noticed_) next = std::min(next, began_ + kBootNotice);
  if (phase_ == Phase::kServing && NumberChanges()) next = std::min(next, load_at_);
  if (reload_ != nullptr) next = std::min(next, reload_->give_up_at);
  for (const os::Inquiry* inquiry : Inquiries()) {
    next = std::min(next, inquiry->deadline());
  }
  next = std::min({next, notifier_.next(), watch_.next()});
  if (next == Time::max()) return std::nullopt;
  return next - Now();
}

// --- time --------------------------------------------------------------------

std::string Box::DescribeApps() const {
  std::string text;
  if (!HasApp(settings())) return text;
  for (std::size_t i = 0; i < now_->apps.size(); ++i) {
    const LoadedApp& loaded = now_->apps[i];
    text += fmt::format("  app       {}", TargetOf(settings().apps[i]));
    if (!loaded.app.empty()) text += fmt::format(", {}", loaded.app);
    text += loaded.python.empty() ? fmt::format(", {}", settings().apps[i].python)
                                  : fmt::format(", Python {}", loaded.python);
    if (!loaded.preloaded.empty()) text += fmt::format(", {}", loaded.preloaded);
    text += '\n';
  }
  return text;
}

void Box::CheckBooted() {
  if (phase_ != Phase::kBooting) return;
  const bool booted = AllReady() && front().life == Life::kReady;
  if (booted) {
    phase_ = Phase::kServing;
    outside_.print(
        fmt::format("{}  ready in {:.1f} s\n", DescribeApps(), SecondsOf(Now() - began_)));
    notifier_.Ready();
    return;
  }
  if (boot_noticed_ || Now() < began_ + kBootNotice) return;
  boot_noticed_ = true;
  std::size_t late = 0;  // the first; or it is the front that is waited for
  while (late + 1 < now_->apps.size() && CountReady(late) == Wanted(late))
    ++late;
  outside_.print(fmt::format("  waiting for {} to load; its output is shown when it has\n",
                             TargetOf(settings().apps[late])));
}

void Box::CheckHeartbeat(Process& process) {
  if (!process.alive() || process.life == Life::kEnding) return;
  const Duration timeout = SilenceMax(process.role);
  if (turn_began_ < process.spoke_at + timeout) return;
  outside_.log.Error(
      "{} has not been heard of for {:.0f} s; it is killed", process.name(), SecondsOf(timeout));
  process.spoke_at = Now();  // once is enough
  process.Signal(SIGKILL);
}

void Box::CheckDeadlines() {
  for (const auto& process : processes_) {
    if (IsFork(process->role)) CheckHeartbeat(*process);
    if (turn_began_ < process->end_by) continue;
    process->end_by = Time::max();
    if (process->lost && process->awaited()) {
      process->life = Life::kWaiting;  // it was not forked
      continue;
    }
    if (IsFork(process->role) && process->life != Life::kEnding) {
      outside_.log.Warning("{} is over its drain_timeout; it is killed", process->name());
    } else if (process->life == Life::kEnding) {
      outside_.log.Warning("{} has not ended in time; it is killed", process->name());
    } else if (!process->dumped) {
      outside_.log.Error("{} was not ready within {:.0f} s (app.boot_timeout); it is killed",
                         process->name(),
                         SecondsOf(AppOf(*process).boot_timeout));
      if (process->alive()) {
        process->dumped = true;
        process->Signal(os::DumpSignal());
        process->end_by = Now() + kLastWords;
        continue;
      }
    }
    process->Signal(SIGKILL);
    const Process* zygote = ForkerOf(*process);
    if (process->awaited() && zygote != nullptr) zygote->Signal(SIGKILL);  // it has not forked it
  }
  if (turn_began_ < deadline_) return;
  deadline_ = Time::max();
  if (phase_ == Phase::kEnding) SignalAll(SIGKILL);
}

// --- the end -----------------------------------------------------------------

void Box::BeginDrain() {
  if (reload_ != nullptr && !reload_->taken_over) EndReload("the box is ending", nullptr);
  AnswerReload({{"error", "the box is ending"}}, std::exchange(reload_askers_, {}));
  successor_fits_.reset();
  AnswerReload({{"error", "the box is ending"}}, std::exchange(upgrade_askers_, {}));
  if (!front().alive() || !worker_was_ready_) {
    BeginEnd();
    return;
  }
  phase_ = Phase::kDraining;
  notifier_.Stopping("draining: finishing what has begun");
  CloseListeners();
  EndAcme();
  for (const auto& process : processes_) {
    if (process->role != Role::kFront && process->role != Role::kBroker) continue;
    process->end_by = Now() + process->generation->settings.drain_timeout + kDrainGrace;
    if (process->role == Role::kBroker) process->end_by += kDrainGrace;  // tasks are handed back
    Tell(*process, {{"drain", true}});
  }
}

void Box::BeginEnd() {
  phase_ = Phase::kEnding;
  notifier_.Stopping("ending");
  deadline_ = Now() + kEndTimeout;
  CloseListeners();
  for (const auto& process : processes_) {
    process->end_by = Time::max();
    if (process->role == Role::kFront) Tell(*process, {{"end", true}});
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
    return process->alive() && !process->HoldsHooks();
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
    if (!process->HoldsHooks()) process->Signal(number);
  }
}

// A fork.
void Box::Tell(const Process& process, const json& message) const {
  if (!process.control.valid()) return;
  const auto told = os::SendDescriptors(process.control, message.dump(), {});
  if (told.ok() || told.error().system_error == EPIPE) return;  // gone: its death says so itself
  outside_.log.Warning("the {} cannot be told: {}", NameOf(process.role), told.error().message);
}

void Box::TellBroker(const json& message) const {
  if (broker_ != nullptr) Tell(*broker_, message);
}

// Who gives a worker its work.
Process& Box::GiverOf(const Process& worker) const {
  return worker.role == Role::kTaskWorker ? *broker_ : *worker.generation->front;
}

// Nobody waits for what they do with it.
void Box::TellHooks(const Process* zygote, const json& message) const {
  if (zygote == nullptr || !zygote->hooks || zygote->goes || !zygote->control.valid()) return;
  const auto told = os::SendDescriptors(zygote->control, message.dump(), {});
  if (told.ok() || told.error().system_error == EPIPE) return;  // gone: its death says so itself
  outside_.log.Warning("the hooks cannot be told {}: {}", message.dump(), told.error().message);
}

Process* Box::FindWorker(int number) {
  for (const auto& process : processes_) {
    if (IsWorker(process->role) && process->number == number) return process.get();
  }
  return nullptr;
}

bool Box::IsOurs(pid_t pid) const {
  return std::any_of(processes_.begin(), processes_.end(), [pid](const auto& process) {
    return process->alive() && process->child->pid() == pid;
  });
}

bool Box::AnyAlive() const {
  return std::any_of(
      processes_.begin(), processes_.end(), [](const auto& process) { return process->alive(); });
}

// Those that run.
std::vector<os::Inquiry*> Box::Inquiries() const {
  std::vector<os::Inquiry*> found;
  if (reload_ != nullptr && reload_->settings) found.push_back(reload_->settings->inquiry());
  if (successor_fits_) found.push_back(successor_fits_->inquiry());
  std::erase(found, nullptr);
  return found;
}

}  // namespace onebox::supervise
