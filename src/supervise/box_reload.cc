// A generation that takes the place of the one before, because somebody asked or a file has changed.
#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "os/file.h"
#include "supervise/box.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

}  // namespace

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

// One that drains besides that which serves.
bool Box::AnotherFrontDrains() const {
  return std::count_if(processes_.begin(), processes_.end(), [](const auto& process) {
           return process->role == Role::kFront;
         }) > 1;
}

// Nothing else is under way.
bool Box::IsAtRest() const {
  const bool settled = phase_ == Phase::kServing || phase_ == Phase::kBroken;
  return reload_ == nullptr && settled;
}

// One at a time; who asks meanwhile shares the next one, which reads what has changed since.
void Box::BeginWantedReload() {
  if (!reload_wanted_ || !IsAtRest()) return;
  if (reload_waits_for_front_ && AnotherFrontDrains()) return;
  reload_wanted_ = reload_waits_for_front_ = false;
  BeginReload(std::exchange(reload_askers_, {}));
}

void Box::BeginReload(std::vector<ControlSocket::Client> askers) {
  reload_ = std::make_unique<Reload>();
  reload_->askers = std::move(askers);
  reload_->began = Now();
  notifier_.Reloading();
  reload_->settings = outside_.ask_settings();
}

// A gunicorn.conf.py takes as long as it likes, up to its deadline; the box goes on meanwhile.
void Box::TakeSettings() {
  if (reload_ == nullptr || !reload_->settings) return;
  auto read = reload_->settings->Take(turn_began_);
  if (!read) return;
  reload_->settings.reset();
  if (!read->ok()) return FailReload(read->error().message, nullptr);
  BeginGeneration(std::move(*read).value());
}

void Box::BeginGeneration(BoxSettings its_settings) {
  reload_->generation = std::make_shared<Generation>(
      Generation{.number = now_->number + 1, .settings = std::move(its_settings)});
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
  const bool another_front = next.settings.front_print != settings().front_print;
  if (another_front && AnotherFrontDrains()) return WaitForFront();
  if (another_front) {
    if (const Status opened = listeners_.Open(next.settings.listen); !opened.ok()) {
      return FailReload(opened.error().message, nullptr);
    }
    next.front = &AddFront(reload_->generation);
    const Status attached = OpenAttachSockets(*next.front, next.settings);
    if (!attached.ok()) {
      return FailReload(attached.error().message, nullptr);
    }
  }
  outside_.log.Info("reload: generation {} is loaded", next.number);
  TellHooks(zygote(), {{"reload", true}});
  AddZygotes(reload_->generation);
  ContinueReload();
}

// There are no more than two: it begins anew when the one that drains has gone.
void Box::WaitForFront() {
  outside_.log.Info("reload: it changes the front, and waits until the one before has drained");
  reload_askers_.insert(reload_askers_.begin(), reload_->askers.begin(), reload_->askers.end());
  reload_.reset();
  reload_wanted_ = reload_waits_for_front_ = true;
  notifier_.Ready();
}

void Box::ContinueReload() {
  const Generation& next = *reload_->generation;
  if (!HasApp(next.settings)) {
    if (next.front == now_->front) TakeOver();
    return;  // else its front says when
  }
  reload_->first.assign(next.apps.size(), nullptr);
  for (std::size_t app = 0; app < next.apps.size(); ++app) {
    if (next.apps[app].zygote == nullptr) AddFirst(app);  // else when that has loaded it
  }
}

// The app is loaded, or each worker loads it: one shows that it works.
void Box::AddFirst(std::size_t app) {
  if (reload_->first[app] != nullptr) return;
  reload_->first[app] = &AddWorker(Role::kAppWorker, reload_->generation, app);
}

// All apps or none: what one of them says of another, and how they are asked, is of one moment.
void Box::TakeOverWhenReady() {
  const auto& first = reload_->first;
  const bool all = std::all_of(first.begin(), first.end(), [](const Process* worker) {
    return worker != nullptr && worker->life == Life::kReady;
  });
  if (all) TakeOver();
}

void Box::TakeOver() {
  const std::shared_ptr<Generation> before = std::exchange(now_, reload_->generation);
  reload_->taken_over = true;
  Duration longest{};
  for (const AppSettings& one : settings().apps)
    longest = std::max(longest, one.boot_timeout);
  reload_->give_up_at = Now() + longest;
  if (phase_ == Phase::kBroken) phase_ = Phase::kServing;
  watch_.Follow(settings().watch);
  const bool as_before =
      before->first().workers == app().workers && before->first().scaling == app().scaling;
  BeginScaling(as_before && NumberChanges() ? Wanted(0) : app().workers);
  for (const auto& process : processes_) {
    if (process->generation != before) continue;
    if (IsWorker(process->role)) process->leaves_because = "a reload";
    if (process->role == Role::kZygote && process->alive()) EndZygote(*process);
  }
  if (broker_ != nullptr) {
    broker_->generation = now_;
    if (before->settings.broker_print != settings().broker_print) RestartBroker();
  }
  FollowAcme(before->settings.acme_print);
  wanted_told_ = 0;
  hooks_serve_ = false;
  TellOfTakeOver();
  if (before->front == now_->front) {
    now_->front->generation = now_;  // where it dies, the next one is of this generation
    return;
  }
  before->front->goes = true;
  before->front->end_by = Now() + before->settings.drain_timeout + kDrainGrace;
  Tell(*before->front, {{"drain", "gently"}});
  listeners_.Keep(settings().listen);
}

// Who runs a task goes on, and whoever asks meanwhile waits.
void Box::RestartBroker() {
  if (broker_->alive() && broker_->life != Life::kEnding) EndFork(*broker_);
}

void Box::EndFork(Process& process) {
  process.life = Life::kEnding;
  process.end_by = Now() + kEndTimeout;
  Tell(process, {{"end", true}});
}

// What it has begun it takes up again the next time.
void Box::EndAcme() {
  Process* acme = Acme();
  if (acme == nullptr) return;
  acme->goes = true;
  if (acme->alive()) EndFork(*acme);
  certificates_ = json::object();
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
    const bool hears = one->role == Role::kZygote || one->role == Role::kAppWorker;
    return hears && one->generation != now_ && one->alive();
  });
  if (others) return;
  hooks_serve_ = true;
  TellHooks(zygote(), {{"serves", true}});
}

// A worker of the generation that serves.
bool Box::DiesAgainAndAgain() const {
  return std::any_of(processes_.begin(), processes_.end(), [this](const auto& process) {
    return process->role == Role::kAppWorker && process->generation == now_ &&
           process->life != Life::kReady && process->backoff.deaths_in_a_row() > 1;
  });
}

unsigned Box::CountServing(std::size_t app) const {
  return static_cast<unsigned>(
      std::count_if(processes_.begin(), processes_.end(), [&](const auto& process) {
        return process->role == Role::kAppWorker && process->generation == now_ &&
               process->app == app && process->life == Life::kReady;
      }));
}

std::string Box::StoryOfMissing(std::size_t app) const {
  const std::string& name = settings().apps[app].name;
  return fmt::format("generation {} serves with {} of {} workers{}: the others do not get ready",
                     now_->number,
                     CountServing(app),
                     Wanted(app),
                     name.empty() ? "" : " of " + name);
}

void Box::CheckReloaded() {
  if (reload_ == nullptr || !reload_->taken_over) return;
  std::size_t app = 0;  // the first that is short of workers
  while (app < now_->apps.size() && CountServing(app) >= Wanted(app))
    ++app;
  const bool old_ones_serve =
      std::any_of(processes_.begin(), processes_.end(), [this](const auto& process) {
        return process->role == Role::kAppWorker && process->generation != now_ &&
               process->generation->front == now_->front && process->alive() && !process->retired;
      });
  const bool whole = app == now_->apps.size() && !old_ones_serve;
  // Whoever wants another may have the cure.
  const bool hopeless = Now() >= reload_->give_up_at || (reload_wanted_ && DiesAgainAndAgain());
  if (!whole && !hopeless) return;
  const auto done = std::move(reload_);
  const double took = SecondsOf(Now() - done->began);
  if (!whole) {
    const std::string reason = StoryOfMissing(std::min(app, now_->apps.size() - 1));
    outside_.log.Error("reload: {}", reason);
    notifier_.Ready();
    return AnswerReload({{"error", reason}, {"generation", now_->number}}, done->askers);
  }
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
    story = culprit->TakeStory();
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
    if (IsFork(process->role)) continue;
    process->goes = true;
    if (process->alive()) process->life = Life::kEnding;
    process->Signal(SIGKILL);
  }
  for (LoadedApp& loaded : now_->apps)
    loaded.zygote = nullptr;
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
    if (process->role == Role::kFront) Tell(*process, {{"whole", true}});
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

}  // namespace onebox::supervise
