// Another program that takes our place, and what we find where we are that program.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "os/signal.h"
#include "supervise/box.h"
#include "supervise/succession.h"

namespace onebox::supervise {

// Everything that lives, and the sockets; what waits for its next start is started by the successor.
Succession Box::WhatIsLeft() const {
  Succession left{.generation = now_->number,
                  .listeners = listeners_.ForSuccessor(),
                  .state_lock = state_lock_.get(),
                  .control = control_->listener(),
                  .broker = broker_socket_.get(),
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
    one.app = AppOf(*process).name;
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

bool Box::CanBeSucceeded() const {
  if (reload_wanted_ || !IsAtRest() || AnotherFrontDrains() || !front().alive()) return false;
  return std::none_of(processes_.begin(), processes_.end(), [](const auto& process) {
    return process->awaited();  // its pid could not be told to the successor
  });
}

// One at a time, and the check is of what lies there when it begins.
void Box::BeginWantedUpgrade() {
  if (!upgrade_wanted_ || successor_fits_ || !CanBeSucceeded()) return;
  upgrade_wanted_ = false;
  if (phase_ == Phase::kBroken) return FailUpgrade("its app cannot be loaded");
  successor_fits_ = outside_.check_successor();
}

// Who asks meanwhile may mean another program: that one is checked before anybody is told. What has
// begun meanwhile goes first, as a reload does, and then the program is checked anew.
void Box::TakeCheck() {
  if (!successor_fits_) return;
  const auto fits = successor_fits_->Take(turn_began_);
  if (!fits) return;
  successor_fits_.reset();
  if (upgrade_wanted_) return;
  if (!fits->ok()) return FailUpgrade(fits->error().message);
  upgrade_wanted_ = !CanBeSucceeded();
  if (!upgrade_wanted_) Succeed();
}

// This process stays: its children are the successor's, who makes a generation of its own beside them,
// as a reload does. So a successor that cannot serve is a reload that has failed.
void Box::Succeed() {
  const Succession left = WhatIsLeft();
  const auto file = Leave(left);
  if (!file.ok()) return FailUpgrade(file.error().message);
  std::vector<int> kept = left.askers;
  kept.insert(kept.end(), {left.state_lock, left.control, file.value().get()});
  if (left.broker >= 0) kept.push_back(left.broker);
  for (const auto& [asked, socket] : left.listeners) {
    kept.push_back(socket);
  }
  for (const Succession::Left& process : left.processes) {
    kept.insert(kept.end(), {process.control, process.output});
    kept.insert(kept.end(), process.attach.begin(), process.attach.end());
  }
  std::for_each(kept.begin(), kept.end(), os::KeepAtExecute);
  outside_.log.Info("upgrade: another program takes our place");
  TellHooks(zygote(), {{"execute", true}});
  const Error failed = outside_.succeed(file.value());
  std::for_each(kept.begin(), kept.end(), os::CloseAtExecute);
  FailUpgrade(failed.message);
}

void Box::FailUpgrade(const std::string& reason) {
  const std::size_t line = std::min(reason.find('\n'), reason.size());
  outside_.log.Block(telemetry::LogLevel::kError,
                     fmt::format("the upgrade has failed, onebox {} serves on: {}",
                                 settings().version,
                                 reason.substr(0, line)),
                     reason.substr(std::min(line + 1, reason.size())));
  AnswerReload({{"error", reason}}, std::exchange(upgrade_askers_, {}));
}

// Its place among our apps; one that we do not have any more is as the first is, and has no successor.
std::size_t Box::PlaceOfInherited(const std::string& app) {
  auto& apps = now_->settings.apps;
  const auto found = std::find_if(
      apps.begin(), apps.end(), [&](const AppSettings& one) { return one.name == app; });
  const auto place = static_cast<std::size_t>(found - apps.begin());
  if (found != apps.end()) return place;
  AppSettings left = apps.front();
  left.name = app;
  left.workers = 0;
  apps.push_back(std::move(left));
  now_->apps.emplace_back();
  return place;
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
  broker_socket_ = own(left.broker);
  if (!broker_socket_.valid()) OpenBrokerSocket();
  signals_ = TRY(os::SignalQueue::Open(kSignals));
  os::AdoptOrphans();
  notifier_.Open(outside_.notify);
  watch_.Follow(settings().watch);
  now_->settings.broker_print.clear();  // as the front's, below
  now_->settings.acme_print.clear();
  now_->number = left.generation;
  now_->settings.front_print.clear();  // what that front was told is not known: it gets a successor
  for (AppSettings& app : now_->settings.apps)
    app.workers = 0;
  for (const Succession::Left& one : left.processes) {
    auto child = os::Adopt(one.pid);
    if (!child.ok()) continue;  // it ended a moment ago
    Process& process =
        *processes_.emplace_back(std::make_unique<Process>(one.role, now_, outside_.clock));
    process.child.emplace(std::move(child).value());
    process.life = one.life;
    process.number = one.number;
    process.app = PlaceOfInherited(one.app);
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
      process.end_by = Now() + AppOf(process).request_timeout + kWorkerGrace;
    }
    if (one.role == Role::kFront && !process.goes) now_->front = &process;
    if (one.role == Role::kZygote && one.life == Life::kReady) LoadedFor(process).zygote = &process;
    if (one.role == Role::kBroker) {
      broker_ = &process;
      broker_was_ready_ = tasks_wanted_ = true;
    }
    if (one.role == Role::kAppWorker && one.life != Life::kEnding) {
      ++now_->settings.apps[process.app].workers;
    }
  }
  if (now_->front == nullptr) return OperatorError("the program before has left no front");
  AppSettings& first = now_->settings.apps.front();
  first.workers = std::max(first.workers, 1U);
  first.scaling = {first.workers, first.workers};
  BeginScaling(first.workers);
  phase_ = Phase::kServing;
  worker_was_ready_ = true;
  reload_wanted_ = true;
  reload_askers_ = control_->clients();
  outside_.log.Info("onebox {} takes the place of the program before, and {} processes of it",
                    settings().version,
                    processes_.size());
  return Done();
}

}  // namespace onebox::supervise
