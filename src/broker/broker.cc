// The broker's life: its turn, its timers, and its end.
#include "broker/broker.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "base/json.h"
#include "broker/metrics.h"
#include "broker/words.h"

namespace onebox::broker {
namespace {

using std::chrono::seconds;

constexpr Duration kTick = seconds(1);
constexpr Duration kStopGrace = seconds(1);  // for tasks that were interrupted by a drain
constexpr std::uint32_t kSweptPerTick = 1000;
constexpr std::size_t kLookedAtPerTick = 100;
constexpr Duration kTurnMax = seconds(60);
constexpr std::uint32_t kJobsMeasured = 1000;  // the first ones by their names
constexpr Duration kJobsPause =
    std::chrono::milliseconds(100);  // where a firing could not be taken

}  // namespace

Status Broker::Open() {
  reactor_ = TRY(event::Reactor::New(handover_.clock));
  now_ = handover_.clock.WallNow();
  store_ =
      TRY(queue::Store::Open(fmt::format("{}/{}", settings_.folder, kTasksFile), settings_.limits));
  turns_.SetRule(kJobsQueue, {.rate = {}, .concurrency = settings_.jobs_parallel}, reactor_->now());
  for (const auto& [name, rule] : settings_.rules)
    turns_.SetRule(name, rule, reactor_->now());
  for (const queue::QueueFigures& queue : TRY(store_->Figures(now_))) {
    turns_.Find(queue.name);
  }
  TRY(LoadRunning());
  client_owner_ = {.take = [this](Client& client, json body) { Take(client, std::move(body)); },
                   .closed = [this](Client& client) { Forget(client); }};
  channel_owner_ = {
      .ended = [this](TaskChannel& channel, queue::TaskId id) { ChannelEnded(channel, id); },
      .stuck = [this](TaskChannel& channel, channel::Stuck how) { ChannelStuck(channel, how); },
      .died = [this](TaskChannel& channel) { ChannelDied(channel); }};
  control_ = std::make_unique<Control>(
      std::move(handover_.control), *reactor_, [this](const json& said) { TakeControl(said); });
  TRY(control_->Watch());
  attach_ = std::make_unique<attach::AttachListener>(
      std::move(handover_.attach),
      *reactor_,
      handover_.log,
      [this](std::unique_ptr<channel::FrontEnd> end) { AddChannel(std::move(end)); });
  TRY(attach_->Watch());
  TRY(reactor_->Watch(handover_.socket.get(), socket_, EPOLLIN));
  reactor_->AtTurnEnd(*this);
  reactor_->timers().Arm(tick_, reactor_->now() + kTick);
  TRY(OpenJobs());
  TRY(OpenOutside());
  control_->Tell({{"broker", "ready"}});
  return Done();
}

void Broker::Run() {
  while (Turn(kTurnMax)) {
  }
}

bool Broker::Turn(Duration sleep_max) {
  if (!ended_all_) reactor_->Turn(sleep_max);
  return !ended_all_;
}

Time Broker::AtSteady(WallTime wall) const {
  return reactor_->now() + std::min<Duration>(wall - now_, kTurnMax);
}

// --- the turn

bool Broker::OnTurnEnd() {
  bool more = false;
  for (auto& [number, worker] : workers_) {
    if (worker.channel != nullptr) worker.channel->Read();
  }
  BuryWorkers();
  now_ = handover_.clock.WallNow();
  CheckDeadlines();
  CheckAhead();
  TakeFromOutbox();
  TakeFirings();
  if (WorkToDo()) RunGroup();
  Answer();
  SendGiven();
  TellWaiters();
  CheckDrain();
  SetAlarm();
  for (auto& [number, worker] : workers_) {
    if (worker.channel != nullptr && worker.channel->Settle()) more = true;
  }
  for (auto& [name, client] : clients_) {
    if (client->Continue()) more = true;
  }
  BuryClients();
  // What became free after the leases of this turn is for the next, if anybody waits for it.
  if (std::exchange(freed_, false) && next_due_ && *next_due_ <= now_) more = true;
  return more && !ended_all_;
}

bool Broker::WorkToDo() const {
  if (!inbox_.empty() || !firings_.empty() || from_outbox_ || tick_due_) return true;
  if (failing_) return false;  // the next tick tries again
  if (!lost_.empty() || !lost_jobs_.empty() || !returned_.empty()) return true;
  if (next_due_ && *next_due_ <= now_) return true;
  const auto by_rate = turns_.NextByRate();
  if (by_rate && *by_rate <= reactor_->now()) return true;
  return changed_;
}

// Everything of this turn, as one transaction.
void Broker::RunGroup() {
  const Status done = DoGroup();
  if (done.ok()) {
    if (std::exchange(failing_, false)) handover_.log.Info("the tasks' file can be written again");
    for (const auto& effect : std::exchange(effects_, {}))
      effect();
    by_hand_.clear();
    TellJobs(/*written=*/true);
    AnswerOutbox(/*written=*/true);
    return;
  }
  if (!std::exchange(failing_, true)) {
    handover_.log.Error("tasks cannot be written: {}; those who ask are told so",
                        done.error().message);
  }
  effects_.clear();
  for (const Given& given : std::exchange(given_, {}))
    --turns_.Find(given.queue).running;
  for (const std::int64_t fence : std::exchange(by_hand_, {}))
    (void)jobs_->Refused(fence, now_);
  TellJobs(/*written=*/false);
  AnswerOutbox(/*written=*/false);
  for (Message& message : inbox_) {
    const Operation* operation = FindOperation(Text(At(message.body, "op")));
    if (operation != nullptr && operation->when == When::kInGroup) {
      message.later = false;
      message.reply = ShowError(done.error());
    }
  }
}

Status Broker::DoGroup() {
  if (next_due_ && *next_due_ <= now_) turns_.WakeAll();
  const bool tick = std::exchange(tick_due_, false);
  if (tick) {
    SweepJobs();
    FollowLeader();
  }
  TRY(store_->BeginGroup());
  // Before anything ends a lease: who is here goes on, whatever somebody did to the clock.
  const auto work = [&]() -> Status {
    if (tick) TRY(RenewAll());
    TRY(EnqueueFirings());
    TRY(EnqueueFromOutbox());
    for (std::size_t i = 0; i < inbox_.size(); ++i) {
      AnswerOne(inbox_[i], When::kInGroup);
    }
    TRY(ReturnLost());
    if (tick) {
      if (TRY(store_->ReturnPassed(kSweptPerTick, now_)) > 0) turns_.WakeAll();
      TRY(store_->Sweep(kSweptPerTick, now_));
    }
    return Lease();
  };
  Status worked = work();
  const Status committed = store_->CommitGroup();
  if (!worked.ok()) return worked;
  TRY(committed);
  changed_ = true;
  return Done();
}

// In the order in which they came. Questions see what was done before them, and all of it.
void Broker::Answer() {
  for (Message& message : inbox_) {
    AnswerOne(message, When::kAfterwards);
    if (message.later) continue;
    const json& n = At(message.body, "n");
    if (!n.is_null()) message.reply["n"] = n;
    if (Client* client = FindClient(message.client)) client->Send(message.reply);
  }
  inbox_.clear();
}

void Broker::SetAlarm() {
  if (std::exchange(changed_, false)) {
    const auto next = store_->NextDue();
    next_due_ = next.ok() ? next.value() : std::nullopt;
  }
  Time next = Time::max();
  const auto not_after = [&next](Time at) { next = std::min(next, at); };
  if (const auto due = jobs_->NextDue(); due && !draining_ && FiresJobs()) {
    not_after(*due > now_ ? AtSteady(*due) : reactor_->now() + kJobsPause);
  }
  if (next_due_ && *next_due_ > now_) not_after(AtSteady(*next_due_));
  const auto by_rate = turns_.NextByRate();
  if (by_rate && *by_rate > reactor_->now()) not_after(*by_rate);
  for (const auto& [id, running] : running_) {
    if (running.deadline) not_after(*running.deadline);
  }
  // One that has passed could not be looked at: the next tick tries again.
  const auto ends = waiter_ends_.upper_bound({reactor_->now(), INT64_MAX});
  if (ends != waiter_ends_.end()) not_after(ends->first);
  for (const auto& [number, worker] : workers_) {
    if (worker.full_until > reactor_->now()) not_after(worker.full_until);
    const bool ahead =
        worker.channel != nullptr && worker.channel->in_use() > worker.channel->threads();
    if (ahead) not_after(reactor_->now() + kAheadTime);
  }
  not_after(drain_deadline_);
  if (next != Time::max()) {
    reactor_->timers().Arm(alarm_, next);
  } else {
    reactor_->timers().Disarm(alarm_);
  }
}

void Broker::OnTick() {
  tick_due_ = true;
  // Those that expire, or are cancelled with their group, end without anybody's word.
  auto next = waiters_.upper_bound(looked_at_);
  for (std::size_t i = 0; i < std::min(kLookedAtPerTick, waiters_.size()); ++i, ++next) {
    if (next == waiters_.end()) next = waiters_.begin();
    looked_at_ = next->first;
    ended_.push_back(looked_at_);
  }
  PublishMetrics();
  control_->Tell({{"broker", "alive"}});
  reactor_->timers().Arm(tick_, reactor_->now() + kTick);
}

void Broker::PublishMetrics() {
  const auto queues = store_->Figures(handover_.clock.WallNow());
  const auto jobs = jobs_->List({}, kJobsMeasured);
  if (!queues.ok() || !jobs.ok()) return;  // who asks finds them missing
  std::set<std::string_view> names;
  for (const schedule::JobStatus& job : jobs.value())
    names.insert(job.job->name);
  std::erase_if(job_ends_, [&names](const auto& one) { return !names.contains(one.first.first); });
  handover_.publish(TaskMetrics(queues.value()) + JobMetrics(jobs.value(), job_ends_));
}

// Whoever waits for that task is told if it has ended, or if he has waited long enough.
void Broker::LookAtWaiters(queue::TaskId id) {
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  const auto task = store_->StatusOf(id);
  if (!task.ok()) return;  // asked again with the next tick
  const bool ended = !task.value() || task.value()->state >= queue::kFirstEnded;
  std::erase_if(found->second, [&](const Waiter& waiter) {
    if (!ended && waiter.until > reactor_->now()) return false;
    waiter_ends_.erase(waiter_ends_.find({waiter.until, id}));
    if (Client* client = FindClient(waiter.client)) {
      client->Send({{"n", waiter.n}, {"task", task.value() ? Show(*task.value()) : json()}});
    }
    return true;
  });
  if (found->second.empty()) waiters_.erase(found);
}

void Broker::TellWaiters() {
  for (const queue::TaskId id : std::exchange(ended_, {}))
    LookAtWaiters(id);
  std::vector<queue::TaskId> late;
  for (const auto& [until, id] : waiter_ends_) {
    if (until > reactor_->now()) break;
    late.push_back(id);
  }
  for (const queue::TaskId id : late)
    LookAtWaiters(id);
}

// --- the end

void Broker::TakeControl(const json& message) {
  if (IsTrue(At(message, "drain"))) Drain();
  if (IsTrue(At(message, "finish"))) {
    Drain();
    finishing_ = true;
  }
  if (IsTrue(At(message, "end"))) ended_all_ = true;
  if (At(message, "retire").is_number()) {
    Retire(static_cast<std::uint32_t>(Number(At(message, "retire"))));
  }
  if (At(message, "ended").is_number()) {
    const auto number = static_cast<std::uint32_t>(Number(At(message, "worker")));
    const auto pid = static_cast<std::int32_t>(Number(At(message, "ended")));
    const auto worker = workers_.find(number);
    // Another may have its number by now.
    if (worker != workers_.end() && worker->second.pid == pid) LoseWorker(number);
    LoseUnclaimed(pid);
  }
  if (IsTrue(At(message, "reopen"))) {
    const Status reopened = handover_.log.Reopen();
    if (!reopened.ok()) handover_.log.Error("{}", reopened.error().message);
  }
}

void Broker::Drain() {
  if (std::exchange(draining_, true)) return;
  drain_deadline_ = reactor_->now() + settings_.drain_timeout;
  if (!running_.empty()) handover_.log.Info("draining: {} tasks run", running_.size());
}

// What nobody has come back with is not waited for.
bool Broker::AnyRuns() const {
  return std::any_of(
      running_.begin(), running_.end(), [](const auto& one) { return one.second.worker != 0; });
}

// At its deadline what still runs is interrupted, and handed back; what does not hear that is handed back
// by us: its worker is killed next.
void Broker::CheckDrain() {
  if (!draining_) return;
  if (finishing_ && !AnyRuns()) ended_all_ = true;
  if (reactor_->now() < drain_deadline_) return;
  if (!std::exchange(stopped_tasks_, true)) {
    drain_deadline_ = reactor_->now() + kStopGrace;
    for (auto& [id, running] : running_)
      InterruptTask(id, running, Interrupt::kStop);
    return;
  }
  drain_deadline_ = Time::max();
  std::vector<queue::Held> held, jobs;
  for (const auto& [id, running] : running_)
    (running.again ? held : jobs).push_back({id, running.token});
  const auto released = store_->Release(held, now_);
  if (const Status failed = FailJobs(jobs); !failed.ok()) {
    handover_.log.Error("{} jobs are not told as ended: {}", jobs.size(), failed.error().message);
  }
  for (const queue::Held& job : jobs)
    LearnEnd(job.id, Interrupt::kNone);
  handover_.log.Warning(
      "{} tasks have not ended in time; they wait for the next start, and {} jobs do not{}",
      held.size(),
      jobs.size(),
      released.ok() ? "" : ": " + released.error().message);
  running_.clear();
  if (finishing_) ended_all_ = true;
}

}  // namespace onebox::broker
