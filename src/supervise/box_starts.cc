// How a front, a zygote and a worker are started.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "supervise/box.h"
#include "supervise/zygote.h"

namespace onebox::supervise {
namespace {

using std::chrono::seconds;

constexpr Duration kHookTimeout = seconds(30);  // for any other, and boot_timeout at most

std::vector<std::string> AppWords(const Generation& generation, std::string_view role, int memory) {
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
  if (memory >= 0) words.insert(words.end(), {"--memory", std::to_string(os::kMemoryFd)});
  if (!settings.health.empty()) words.insert(words.end(), {"--health", settings.health});
  for (const std::string& path : settings.warm_up) {
    words.insert(words.end(), {"--warm-up", path});
  }
  words.insert(words.end(), settings.worker_words.begin(), settings.worker_words.end());
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
  process.recycle_at = Time::max();
  process.retired = process.dumped = false;
  process.memory = {};
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
  for (os::Inquiry* inquiry : Inquiries()) {
    inquiry->Forget();
  }
  Listeners::Sockets sockets = listeners_.Take(front.generation->settings.listen);
  heritage.listeners = std::move(sockets.app);
  heritage.admin = std::move(sockets.admin);
  return heritage;
}

Status Box::LaunchZygote(Process& zygote) {
  os::Pair control = TRY(os::NewSocketPair(SOCK_SEQPACKET));
  std::vector<std::string> words = AppWords(*zygote.generation, "zygote", outside_.memory);
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
                                       .memory = outside_.memory,
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
  std::vector<std::string> words = AppWords(*worker.generation, "worker", outside_.memory);
  words.insert(words.end(), {"--number", std::to_string(worker.number)});
  os::Spawned spawned = TRY(os::Spawn({.words = std::move(words),
                                       .environment = worker.generation->settings.environment,
                                       .memory = outside_.memory,
                                       .confinement = worker.generation->settings.confinement}));
  worker.child.emplace(std::move(spawned.child));
  worker.output = std::move(spawned.output);
  return Done();
}

}  // namespace onebox::supervise
