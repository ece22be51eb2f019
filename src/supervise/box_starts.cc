// How the forks of the supervisor, a zygote and a worker are started.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "os/random.h"
#include "supervise/box.h"
#include "supervise/zygote.h"

namespace onebox::supervise {
namespace {

using std::chrono::seconds;

constexpr Duration kHookTimeout = seconds(30);  // for any other, and boot_timeout at most

// What a process that runs the app is told, whatever it runs.
std::vector<std::string> CommonWords(const Process& process, std::string_view role, int memory) {
  const AppSettings& app = AppOf(process);
  std::vector<std::string> words = {app.python,
                                    app.python_side,
                                    std::string(role),
                                    "--workers",
                                    std::to_string(app.workers),
                                    "--generation",
                                    std::to_string(process.generation->number),
                                    "--target",
                                    app.target,
                                    "--chdir",
                                    app.chdir};
  if (memory >= 0) words.insert(words.end(), {"--memory", std::to_string(os::kMemoryFd)});
  return words;
}

std::vector<std::string> TaskWords(const Process& worker,
                                   const std::string& attach_name,
                                   int memory) {
  std::vector<std::string> words = CommonWords(worker, "worker", memory);
  words.insert(words.end(),
               {"--tasks",
                "--attach",
                attach_name,
                "--reactors",
                "1",
                "--threads",
                std::to_string(worker.generation->settings.task_threads)});
  return words;
}

std::vector<std::string> AppWords(const Process& process, std::string_view role, int memory) {
  const AppSettings& app = AppOf(process);
  const Generation& generation = *process.generation;
  std::vector<std::string> words = CommonWords(process, role, memory);
  words.insert(words.end(),
               {"--attach",
                AttachNameOf(generation.front->attach_name, app),
                "--reactors",
                std::to_string(generation.settings.reactors),
                "--threads",
                std::to_string(app.threads)});
  if (app.worker_class == WorkerClass::kGevent) {
    words.insert(words.end(), {"--worker-class", "gevent"});
  }
  if (!app.health.empty()) words.insert(words.end(), {"--health", app.health});
  for (const std::string& path : app.warm_up) {
    words.insert(words.end(), {"--warm-up", path});
  }
  words.insert(words.end(), app.worker_words.begin(), app.worker_words.end());
  return words;
}

}  // namespace

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

// Where there are any: each loads its app.
void Box::AddZygotes(const std::shared_ptr<Generation>& generation) {
  for (std::size_t app = 0; app < generation->apps.size(); ++app) {
    if (!NeedsZygote(generation->settings.apps[app])) continue;
    generation->apps[app].zygote = &AddZygote(generation, app);
  }
}

Process& Box::AddZygote(const std::shared_ptr<Generation>& generation, std::size_t app) {
  Process& zygote = *processes_.emplace_back(
      std::make_unique<Process>(Role::kZygote, generation, outside_.clock));
  zygote.app = app;
  zygote.holds = true;
  return zygote;
}

void Box::AddBroker() {
  auto broker = std::make_unique<Process>(Role::kBroker, now_, outside_.clock);
  broker->attach_name = fmt::format("@onebox-{:016x}", os::Random64());
  const Status opened = OpenAttachSockets(*broker, broker->attach_name, 1);
  if (!opened.ok()) {
    outside_.log.Error("there is no broker: {}", opened.error().message);
    broker_socket_.Reset();
    return;
  }
  broker_ = processes_.emplace_back(std::move(broker)).get();
}

// The one that is to stay.
Process* Box::Acme() const {
  const auto found = std::find_if(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->role == Role::kAcme && !process->goes;
  });
  return found == processes_.end() ? nullptr : found->get();
}

// There is one where names are to have certificates, and another where it has been told otherwise. The one
// before may still end: there is a lock for that.
void Box::FollowAcme(const std::string& print_before) {
  const bool same = print_before == settings().acme_print;
  if (Process* before = Acme(); before != nullptr) {
    before->generation = now_;
    if (same && settings().acme) return;
    EndAcme();
  }
  if (!settings().acme) return;
  processes_.push_back(std::make_unique<Process>(Role::kAcme, now_, outside_.clock));
}

Process& Box::AddWorker(Role role, const std::shared_ptr<Generation>& generation, std::size_t app) {
  int number = 1;
  while (FindWorker(number) != nullptr)
    ++number;
  Process& worker =
      *processes_.emplace_back(std::make_unique<Process>(role, generation, outside_.clock));
  worker.app = app;
  worker.number = number;
  worker.holds = role == Role::kAppWorker && (phase_ == Phase::kBooting || IsOfReload(worker));
  return worker;
}

// What waits for its time, and for the zygote that is to fork it.
bool Box::IsDue(const Process& process) const {
  if (process.goes) return false;
  if (process.role == Role::kTaskWorker && phase_ >= Phase::kDraining) return false;
  const Process* zygote = ForkerOf(process);
  return zygote == nullptr || zygote->life == Life::kReady;
}

// The zygote that forks it; none: it is started by itself. Tasks are run by threads, which a zygote that
// is patched for greenlets has not, and hooks are about workers that serve.
const Process* Box::ForkerOf(const Process& worker) const {
  if (!IsWorker(worker.role)) return nullptr;
  const AppSettings& app = AppOf(worker);
  const bool fits =
      app.worker_class == WorkerClass::kThreads && app.preload != Preload::kOff && !app.hooks;
  return worker.role == Role::kAppWorker || fits ? LoadedFor(worker).zygote : nullptr;
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
  process.recycle_at = Time::max();
  process.retired = process.dumped = false;
  process.memory = {};
  const Status launched = Launch(process);
  if (launched.ok()) {
    process.life = Life::kBooting;
    if (!IsFork(process.role)) {
      process.end_by = process.started + AppOf(process).boot_timeout;
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
  if (phase_ == Phase::kBooting && !LoadedFor(process).was_ready && !IsBeside(process.role)) {
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
    case Role::kBroker:
      return LaunchBroker(process);
    case Role::kAcme:
      return LaunchAcme(process);
    case Role::kZygote:
      return LaunchZygote(process);
    case Role::kAppWorker:
    case Role::kTaskWorker:
      return LaunchWorker(process);
  }
  CHECK(false);
}

// A fork of this process, which leads `life` with what it is told on its control socket.
Status Box::LaunchFork(Process& process, const std::function<int(os::Fd control)>& life) {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  os::Child child = TRY(os::Fork([&] {
    control.ours.Reset();
    os::Confinement confinement = process.generation->settings.confinement;
    confinement.no_new_privileges = true;  // it starts no programs
    if (confinement.user) os::OwnStandardOutput();
    if (const Status confined = os::Confine(confinement); !confined.ok()) {
      outside_.print(
          fmt::format("onebox: the {}: {}\n", NameOf(process.role), confined.error().message));
      return 1;
    }
    return life(std::move(control.theirs));
  }));
  process.child.emplace(std::move(child));
  process.control = std::move(control.ours);
  process.spoke_at = Now();
  return Done();
}

Status Box::LaunchFront(Process& front) {
  TRY(LaunchFork(front, [&](os::Fd control) {
    return front.generation->settings.front(BecomeFront(front, std::move(control)));
  }));
  if (!broken_.empty() && !IsOfReload(front)) TellBroken(front);
  return Done();
}

Status Box::LaunchBroker(Process& broker) {
  return LaunchFork(broker, [&](os::Fd control) {
    return broker.generation->settings.broker(BecomeBroker(broker, std::move(control)));
  });
}

Status Box::LaunchAcme(Process& acme) {
  return LaunchFork(acme, [&](os::Fd control) {
    const auto life = acme.generation->settings.acme;
    ForgetTheOthers();
    broker_socket_.Reset();
    listeners_.Take({});
    return life(std::move(control));
  });
}

// In the fork's own process: closes what is the supervisor's.
void Box::ForgetTheOthers() {
  state_lock_.Reset();
  signals_->Close();
  control_->Close();
  notifier_.Close();
  watch_.Close();
  for (const auto& process : processes_) {
    process->child.reset();
    process->output.Reset();
    process->control.Reset();
    process->attach.clear();
  }
  for (os::Inquiry* inquiry : Inquiries()) {
    inquiry->Forget();
  }
}

BrokerHeritage Box::BecomeBroker(Process& broker, os::Fd control) {
  BrokerHeritage heritage{.socket = std::move(broker_socket_),
                          .attach = std::move(broker.attach.front()),
                          .control = std::move(control),
                          .generation = now_->number,
                          .fresh = !broker_was_ready_,
                          .worker_pids = {}};
  for (const auto& process : processes_) {
    if (process->role == Role::kTaskWorker && process->alive()) {
      heritage.worker_pids.push_back(process->child->pid());
    }
  }
  ForgetTheOthers();
  listeners_.Take({});
  return heritage;
}

FrontHeritage Box::BecomeFront(Process& front, os::Fd control) {
  FrontHeritage heritage{
      .listeners = {},
      .admin = {},
      .attach = std::move(front.attach),
      .control = std::move(control),
      .first_lane = front.first_lane,
      .waits_for_worker = IsOfReload(front) && HasApp(front.generation->settings)};
  ForgetTheOthers();
  broker_socket_.Reset();
  Listeners::Sockets sockets = listeners_.Take(front.generation->settings.listen);
  heritage.listeners = std::move(sockets.app);
  heritage.admin = std::move(sockets.admin);
  return heritage;
}

Status Box::LaunchZygote(Process& zygote) {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  std::vector<std::string> words = AppWords(zygote, "zygote", outside_.memory);
  const AppSettings& settings = AppOf(zygote);
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
                                       .memory = outside_.memory,
                                       .confinement = zygote.generation->settings.confinement}));
  zygote.child.emplace(std::move(spawned.child));
  zygote.output = std::move(spawned.output);
  zygote.control = std::move(control.ours);
  return Done();
}

Status Box::LaunchWorker(Process& worker) {
  const bool tasks = worker.role == Role::kTaskWorker;
  const BoxSettings& box = worker.generation->settings;
  if (const Process* zygote = ForkerOf(worker)) {
    os::OutputPipe output = TRY(os::NewOutputPipe());
    std::optional<TaskPlace> place;
    if (tasks) place = {broker_->attach_name, box.task_threads};
    TRY(AskForWorker(zygote->control, worker.number, place, output.writer));
    worker.output = std::move(output.reader);
    return Done();  // TakeForked() has the rest
  }
  std::vector<std::string> words = tasks ? TaskWords(worker, broker_->attach_name, outside_.memory)
                                         : AppWords(worker, "worker", outside_.memory);
  words.insert(words.end(), {"--number", std::to_string(worker.number)});
  os::Spawned spawned = TRY(os::Spawn({.words = std::move(words),
                                       .environment = AppOf(worker).environment,
                                       .memory = outside_.memory,
                                       .confinement = box.confinement}));
  worker.child.emplace(std::move(spawned.child));
  worker.output = std::move(spawned.output);
  return Done();
}

}  // namespace onebox::supervise
