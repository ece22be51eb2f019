// What others say to the supervisor: signals, front, zygote, the output of the app, questions.
#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "os/file.h"
#include "os/random.h"
#include "os/signal.h"
#include "os/socket.h"
#include "supervise/box.h"
#include "supervise/news.h"
#include "supervise/zygote.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

constexpr std::size_t kHeldLinesMax = 1000;
constexpr Duration kSameSignal = std::chrono::milliseconds(300);
constexpr std::uint64_t kAgeJitter = 10;  // a worker may get up to a tenth older than it is to

}  // namespace

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
    if (IsFork(process->role)) Tell(*process, {{"reopen", true}});
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
    case SIGTTIN:  // Gunicorn's for one worker more or fewer
    case SIGTTOU:
    case SIGALRM:
      outside_.log.Warning(
          "{} does nothing here; app.workers and a reload change the number of workers",
          os::SignalName(number));
      return;
    default:
      break;
  }
  // Who passes on what his whole group has been told tells it twice.
  const bool same = told_to_end_at_ != Time{} && Now() < told_to_end_at_ + kSameSignal;
  if (same) return;
  told_to_end_at_ = Now();
  if (phase_ >= Phase::kDraining) {
    outside_.log.Warning("{} again: ending at once", os::SignalName(number));
    const bool hooks_had_time = phase_ == Phase::kEnding;
    SignalAll(SIGKILL);
    if (hooks_had_time && zygote() != nullptr) zygote()->Signal(SIGKILL);
    BeginEnd();
    return;
  }
  outside_.log.Info("{}: finishing what has begun; once more ends at once", os::SignalName(number));
  BeginDrain();
}

// Of a fork.
void Box::TakeNews(Process& speaker) {
  while (true) {
    const auto message = os::ReceiveMessage(speaker.control, kControlBytesMax);
    if (message.ok() && !message.value()) return;
    if (!message.ok() || message.value()->bytes.empty()) {
      speaker.control.Reset();  // it is going: its death follows
      return;
    }
    speaker.spoke_at = Now();
    const auto news = ParseNews(message.value()->bytes);
    if (!news) {
      outside_.log.Warning("the {} said what nobody understands: {}",
                           NameOf(speaker.role),
                           message.value()->bytes.substr(0, 200));
    } else {
      Take(speaker, *news);
    }
  }
}

void Box::Take(Process& speaker, const News& news) {
  switch (news.kind) {
    case News::Kind::kReady:
      if (speaker.life == Life::kBooting) speaker.life = Life::kReady;
      if (speaker.role == Role::kBroker) broker_was_ready_ = true;
      if (speaker.role == Role::kFront) ServeWithoutApp(speaker);
      return;
    case News::Kind::kAlive:
      speaker.upstreams = news.upstreams;
      speaker.apps = news.apps;
      return;
    case News::Kind::kCertificate:
      if (&speaker == Acme()) certificates_[news.name] = json::parse(news.told);
      return;
    case News::Kind::kTasksWanted:
      tasks_wanted_ = true;
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

// Where there is no app, the front is all that is waited for.
void Box::ServeWithoutApp(const Process& front) {
  if (HasApp(front.generation->settings)) return;
  worker_was_ready_ = front.generation->apps.front().was_ready = true;
  if (reload_ != nullptr && !reload_->taken_over && reload_->generation->front == &front)
    TakeOver();
}

void Box::TakeWorkerReady(const News& news) {
  Process* worker = FindWorker(news.worker);
  const bool awaited = worker != nullptr && worker->awaited();
  const bool known =
      worker != nullptr && worker->alive() && (news.pid == 0 || news.pid == worker->child->pid());
  if (!awaited && !known) return EndStray(news.worker, news.pid);
  if (worker->life != Life::kBooting) return;
  worker->life = Life::kReady;
  worker->end_by = Time::max();
  LoadedApp& loaded = LoadedFor(*worker);
  if (worker->role == Role::kAppWorker) worker_was_ready_ = loaded.was_ready = true;
  // The front may be faster than the zygote, or the zygote gone.
  if (!worker->alive()) Adopt(*worker, news.pid);
  if (!news.app.empty()) loaded.app = news.app;
  if (!news.python.empty()) loaded.python = news.python;
  ReleaseHeld(*worker);
  if (const Duration age = AppOf(*worker).recycle_age; age > Duration()) {
    // Not all at the same time.
    const auto most = static_cast<std::uint64_t>(age.count()) / kAgeJitter;
    const Duration jitter(static_cast<Duration::rep>(os::Random64() % (most + 1)));
    worker->recycle_at = Now() + age + jitter;
  }
  if (IsOfReload(*worker)) TakeOverWhenReady();
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
  // One request of it would not let it end; the others have their own deadlines.
  const bool tasks = worker->role == Role::kTaskWorker;
  worker->end_by =
      Now() + kWorkerGrace +
      (tasks ? worker->generation->settings.task_timeout : AppOf(*worker).request_timeout);
  if (!ends_already) outside_.died(worker->role);
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
  const AppSettings& app = AppOf(zygote);
  LoadedApp& loaded = LoadedFor(zygote);
  if (news.kind == ZygoteNews::Kind::kForked || news.kind == ZygoteNews::Kind::kForkFailed) {
    return TakeForked(zygote, news);
  }
  if (news.kind == ZygoteNews::Kind::kStandby) {
    if (IsOurs(news.pid)) return;  // the front was faster: it is a worker already
    auto child = os::Adopt(news.pid);
    if (child.ok()) zygote.standby = Standby{std::move(child).value(), Now()};
    return;  // else it has ended, and the next worker is forked when it is asked for
  }
  if (zygote.life != Life::kBooting) return;
  zygote.end_by = Time::max();
  loaded.app = news.app;
  loaded.python = news.python;
  if (news.kind == ZygoteNews::Kind::kReady) {
    zygote.life = Life::kReady;
    ReleaseHeld(zygote);
    wanted_told_ = 0;
    TellOfTakeOver();
    const bool preloads = app.preload != Preload::kOff;
    if (preloads) {
      loaded.preloaded = fmt::format("preloaded in {:.1f} s, {} MiB shared",
                                     SecondsOf(Now() - zygote.started),
                                     news.bytes >> 20U);
    }
    if (preloads && phase_ != Phase::kBooting) {
      outside_.log.Info("{}: {} is {}", zygote.name(), app.target, loaded.preloaded);
    }
  } else {
    ReleaseHeld(zygote);
    outside_.log.Warning(
        "{} cannot be forked after its import: {}; each worker imports it by itself",
        TargetOf(app),
        news.reason);
    loaded.zygote = nullptr;
    zygote.goes = true;
    zygote.life = Life::kEnding;
    zygote.Signal(SIGKILL);
    if (app.hooks) {  // which another runs, that does not import the app
      zygote.generation->settings.apps[zygote.app].preload = Preload::kOff;
      loaded.zygote = &AddZygote(zygote.generation, zygote.app);
    }
  }
  if (IsOfReload(zygote)) AddFirst(zygote.app);
}

void Box::TakeForked(const Process& zygote, const ZygoteNews& news) {
  Process* worker = FindWorker(news.worker);
  const bool awaited = worker != nullptr && worker->awaited() &&
                       worker->generation == zygote.generation && worker->app == zygote.app;
  const bool forked = news.kind == ZygoteNews::Kind::kForked;
  if (awaited) return forked ? Adopt(*worker, news.pid) : FailFork(*worker, news.reason);
  if (forked) EndStray(news.worker, news.pid);
}

// A zygote that ended within a fork could not say so any more, and another worker has its place since.
void Box::EndStray(int number, pid_t pid) {
  if (IsOurs(pid) || pid == 0) return;  // the front was faster than the zygote
  const auto stray = os::Adopt(pid);
  if (!stray.ok() || !stray.value().is_ours()) return;  // it has ended
  outside_.log.Warning("worker {} [{}] is none that is awaited; it is killed", number, pid);
  stray.value().Signal(SIGKILL);
}

void Box::Adopt(Process& worker, pid_t pid) {
  for (const auto& process : processes_) {
    if (process->standby && process->standby->child.pid() == pid) process->standby.reset();
  }
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
  if (phase_ == Phase::kBooting && !LoadedFor(worker).was_ready) return FailBoot(worker, story);
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
  if (boot_failed_ && !process.HoldsHooks()) return;
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

std::optional<ControlSocket::Answered> Box::AnswerQuestion(std::string_view question,
                                                           ControlSocket::Client from) {
  const json asked = json::parse(question, nullptr, /*allow_exceptions=*/false);
  const std::string what = Text(At(asked, "ask"));
  if (what == "status") return ControlSocket::Answered{StatusText()};
  if (what == "reload") {
    AskReload(from);
    return std::nullopt;
  }
  if (what == "upgrade") {
    if (phase_ >= Phase::kDraining)
      return ControlSocket::Answered{json{{"error", "the box is ending"}}.dump()};
    upgrade_wanted_ = true;
    upgrade_askers_.push_back(from);
    return std::nullopt;
  }
  if (what == "stop") {
    outside_.log.Info("asked to stop: finishing what has begun");
    if (phase_ < Phase::kDraining) BeginDrain();
    return ControlSocket::Answered{json{{"stopping", true}}.dump()};
  }
  if (what == "memory")
    return ControlSocket::Answered{json{{"memory", true}}.dump(), outside_.memory};
  if (what == "broker") return AnswerBroker();
  if (what == "renew") return AnswerRenew(Text(At(asked, "name")));
  return ControlSocket::Answered{
      json{{"error", "it is asked for status, reload, upgrade, stop, memory, broker or renew"}}
          .dump()};
}

// That it is asked for; what comes of it is told of the certificate.
ControlSocket::Answered Box::AnswerRenew(const std::string& name) const {
  const Process* acme = Acme();
  if (acme == nullptr) return {json{{"error", "it obtains no certificates: [tls] auto"}}.dump()};
  if (!certificates_.contains(name)) {
    return {json{{"error", fmt::format("it obtains no certificate for {}", name)}}.dump()};
  }
  if (!acme->alive()) {
    return {json{{"error", "who obtains certificates is being started again"}}.dump()};
  }
  Tell(*acme, {{"renew", name}});
  return {json{{"renewing", name}}.dump()};
}

// A connection, so that who asks needs no way into the folder. A broker that nobody has needed yet is
// not started for a question.
ControlSocket::Answered Box::AnswerBroker() const {
  if (!broker_socket_.valid()) {
    return {json{{"error", "it has no broker; its log says why"}}.dump()};
  }
  if (broker_ == nullptr) return {json{{"broker", nullptr}}.dump()};
  const auto connect = [this]() -> Result<os::Fd> {
    const auto address = TRY(os::SocketAddress::Parse("unix:" + BrokerPath()));
    return os::ConnectWithin(address, Duration());  // waits for nobody
  };
  auto connected = connect();
  if (!connected.ok()) return {json{{"error", connected.error().message}}.dump()};
  return {json{{"broker", BrokerPath()}}.dump(), -1, std::move(connected).value()};
}

}  // namespace onebox::supervise
