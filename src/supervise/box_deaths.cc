// What follows where a process of the box has ended.
#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "supervise/box.h"

namespace onebox::supervise {
namespace {

constexpr int kImportFailed = 3;  // exit statuses of a worker
constexpr int kHealthFailed = 4;

}  // namespace

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
    process.role == Role::kZygote ? TakeZygoteNews(process) : TakeNews(process);
    process.control.Reset();
  }
  if (process.role == Role::kFront) {
    front_died_at_ = Now();
    outside_.front_ended(process.first_lane);
  }
  const std::string name = process.name();
  if (process.role == Role::kAppWorker) {
    TellHooks(IsOfReload(process) ? LoadedFor(process).zygote : zygote(),
              {{"ended", process.child->pid()}, {"worker", process.number}});
  }
  if (process.role == Role::kTaskWorker) {
    TellBroker({{"ended", process.child->pid()}, {"worker", process.number}});
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
    const std::string target = TargetOf(AppOf(process));
    return FailReload(
        unwell ? fmt::format("{} does not answer {} as it should", target, AppOf(process).health)
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
  if (process.role == Role::kBroker && phase_ == Phase::kDraining) {
    process.goes = true;
    return ContinueDrain();
  }
  if (process.role == Role::kZygote) LoseAwaited(process);
  TellOfTakeOver();
  if (process.goes) return;
  const bool never_served =
      process.role == Role::kFront ? process.life == Life::kBooting : !LoadedFor(process).was_ready;
  if (phase_ == Phase::kBooting && never_served && !IsBeside(process.role)) {
    const bool import_failed =
        process.role != Role::kFront && status.signal == 0 && status.status == kImportFailed;
    FailBoot(process,
             import_failed ? fmt::format("{} could not be loaded", TargetOf(AppOf(process)))
                           : fmt::format("{} ended before it was ready: {}", name, status.text()));
    return;
  }
  PlanRestart(process, status, name);
}

// It may have forked them all the same: whoever joins the front in time is one of them, and is ended.
void Box::LoseAwaited(const Process& zygote) {
  for (const auto& worker : processes_) {
    const bool of_it = IsWorker(worker->role) && worker->generation == zygote.generation &&
                       worker->app == zygote.app;
    if (!of_it || !worker->awaited()) continue;
    worker->lost = worker->goes = true;
    worker->leaves_because = "its zygote has ended";
    worker->end_by = Now() + kWorkerGrace;
  }
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
  ContinueDrain();
}

// The broker goes after the fronts: a request that is finished may yet enqueue a task.
void Box::ContinueDrain() {
  if (phase_ != Phase::kDraining) return;
  const auto any_alive = [this](Role role) {
    return std::any_of(processes_.begin(), processes_.end(), [role](const auto& process) {
      return process->role == role && process->alive();
    });
  };
  if (any_alive(Role::kFront)) return;
  if (!any_alive(Role::kBroker)) return BeginEnd();
  TellBroker({{"finish", true}});
}

void Box::FailBoot(Process& process, const std::string& reason) {
  const std::string story = process.TakeStory();
  if (!story.empty()) outside_.print(story + '\n');
  outside_.print(fmt::format("onebox: {}\n", reason));
  if (process.role != Role::kFront) {
    const AppSettings& app = AppOf(process);
    outside_.print(fmt::format(
        "  app     {}\n  folder  {}\n  python  {}\n", TargetOf(app), app.chdir, app.python));
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
    const bool is_zygote = process->role == Role::kZygote && process->generation == now_ &&
                           LoadedFor(*process).zygote == process.get();
    return gone && process.get() != now_->front && !is_zygote && process.get() != broker_;
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
  for (const os::Inquiry* inquiry : Inquiries()) {
    ours.push_back(inquiry->pid());
  }
  if (!awaited) os::ReapStrangers(ours);
}

}  // namespace onebox::supervise
