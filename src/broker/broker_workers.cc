// Who runs which task: leases given, interrupted, renewed, and taken back from the dead.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "broker/broker.h"
#include "broker/words.h"

namespace onebox::broker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A worker whose tasks end so fast is sent more than it has threads: the next is there at once.
constexpr Duration kQuick = milliseconds(5);
constexpr Duration kFullPause = milliseconds(10);  // where a worker's channel has no room
// From the end of a task's request to its outcome, which travels beside it.
constexpr Duration kOutcomeTime = seconds(60);

}  // namespace

Broker::Worker* Broker::WorkerOf(std::uint32_t number, std::int32_t pid) {
  Worker& worker = workers_[number];
  if (worker.pid != 0 && worker.pid != pid) {
    LoseWorker(number);  // the one before has ended, and its end was not heard yet
    return WorkerOf(number, pid);
  }
  worker.pid = pid;
  return &worker;
}

void Broker::AddChannel(std::unique_ptr<channel::FrontEnd> end) {
  auto channel = std::make_unique<TaskChannel>(std::move(end), *reactor_, channel_owner_);
  if (const Status watched = channel->Watch(); !watched.ok()) {
    handover_.log.Error("worker {}: {}", channel->pid(), watched.error().message);
    return;
  }
  const std::uint32_t number = channel->number();
  Worker& worker = *WorkerOf(number, channel->pid());
  worker.channel = std::move(channel);
  control_->Tell({{"worker", number}, {"ready", true}, {"pid", worker.pid}});
  turns_.WakeAll();
  changed_ = true;
}

void Broker::ChannelEnded(TaskChannel& channel, queue::TaskId id) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;  // its outcome came first
  found->second.in_slot = false;
  found->second.returned = reactor_->now();
  found->second.deadline.reset();
  workers_[channel.number()].quick = reactor_->now() - found->second.sent < kQuick;
  changed_ = true;
}

void Broker::ChannelStuck(const TaskChannel& channel, channel::Stuck how) {
  const std::uint32_t number = channel.number();
  workers_[number].retired = true;
  json news = {{"worker", number}, {"stuck", true}};
  if (how == channel::Stuck::kProcess) {
    news["gil"] = true;
    news["reason"] = "nothing in it runs: a thread holds the interpreter's lock";
  } else {
    news["reason"] = "a thread of it does not end its task";
  }
  control_->Tell(news);
}

// The process has most likely ended: its last words are in its connection, which says so too.
// What waited there in vain has not cost a worker its life.
void Broker::ChannelDied(TaskChannel& channel) {
  for (const queue::TaskId id : channel.Waiting()) {
    const auto found = running_.find(id);
    if (found != running_.end() && channel.Revoke(id)) found->second.unbegun = true;
  }
  Worker& worker = workers_[channel.number()];
  if (worker.channel.get() == &channel) dead_channels_.push_back(std::move(worker.channel));
  changed_ = true;
}

void Broker::BuryWorkers() {
  dead_channels_.clear();
  std::vector<std::uint32_t> gone;
  for (const auto& [number, worker] : workers_) {
    if (worker.channel == nullptr && worker.client == nullptr) gone.push_back(number);
  }
  for (const std::uint32_t number : gone)
    LoseWorker(number);
}

void Broker::LoseWorker(std::uint32_t number) {
  const auto found = workers_.find(number);
  if (found == workers_.end()) return;
  Worker& worker = found->second;
  if (worker.client != nullptr) worker.client->CloseOfDead();
  if (worker.channel != nullptr) worker.channel->Die("its process has ended");
  dead_channels_.clear();
  std::erase_if(claims_, [number](const auto& claim) { return claim.second == number; });
  // Its last words may be in this turn's inbox: whoever they end is not held any more when it is lost.
  for (auto& [id, running] : running_) {
    if (running.worker != number) continue;
    auto& how = running.unbegun ? returned_ : running.again ? lost_ : lost_jobs_;
    how.push_back({id, running.token});
  }
  workers_.erase(number);
  changed_ = true;
}

// What it had of a broker before, and has not come back for.
void Broker::LoseUnclaimed(std::int32_t pid) {
  for (const auto& [id, running] : running_) {
    if (running.worker != 0 || running.holder != pid) continue;
    (running.again ? lost_ : lost_jobs_).push_back({id, running.token});
  }
  changed_ = true;
}

void Broker::Retire(std::uint32_t number) {
  const auto found = workers_.find(number);
  if (found != workers_.end()) {
    found->second.retired = true;
    if (TaskChannel* channel = found->second.channel.get()) {
      for (const queue::TaskId id : channel->Waiting()) {
        const auto running = running_.find(id);
        if (running == running_.end() || !channel->Revoke(id)) continue;
        returned_.push_back({id, running->second.token});
      }
    }
  }
  control_->Tell({{"worker", number}, {"retired", true}});
}

std::uint32_t Broker::FreePlaces(const Worker& worker) const {
  if (worker.channel == nullptr || worker.client == nullptr || worker.retired) return 0;
  if (worker.channel->draining() || worker.full_until > reactor_->now()) return 0;
  const std::uint32_t places = worker.quick ? worker.channel->slots() : worker.channel->threads();
  const std::uint32_t taken = worker.channel->in_use() + worker.adopted;
  return places - std::min(places, taken);
}

// --- leases

// What the file calls running. Where the box begins, nobody has it any more; else its worker goes on, and
// says so when it has found us.
Status Broker::LoadRunning() {
  queue::Store::Page page{.after = queue::kNoTask, .limit = queue::Store::kBatchMax};
  for (;;) {
    const std::vector<queue::TaskStatus> found = TRY(store_->Running(page));
    for (const queue::TaskStatus& task : found) {
      const bool is_job = task.queue == kJobsQueue;
      if (handover_.fresh) {
        (is_job ? lost_jobs_ : lost_).push_back({task.id, task.token});
        if (!is_job) continue;
      }
      Running& running = running_[task.id];
      running = {.token = task.token, .queue = task.queue};
      running.again = !is_job;
      running.holder = PidOf(task.holder);
      running.in_group = task.group != queue::kNoTask;
      running.sent = reactor_->now();
      ++turns_.Find(task.queue).running;
    }
    if (found.size() < page.limit) break;
    page.after = found.back().id;
  }
  if (!handover_.fresh) {
    std::set<std::int32_t> gone;
    const auto& alive = handover_.worker_pids;
    for (const auto& [id, running] : running_) {
      if (std::find(alive.begin(), alive.end(), running.holder) == alive.end()) {
        gone.insert(running.holder);
      }
    }
    for (const std::int32_t pid : gone)
      LoseUnclaimed(pid);
    return Done();
  }
  if (!lost_.empty()) {
    handover_.log.Warning("{} tasks were running when the box ended; they wait again",
                          lost_.size());
  }
  return Done();
}

// To the worker with the most room, queue by queue, until there is no room or nothing to do.
Status Broker::Lease() {
  if (draining_) return Done();
  turns_.Fill(reactor_->now());
  std::map<std::uint32_t, std::uint32_t> room;
  std::uint32_t free = 0;
  for (const auto& [number, worker] : workers_) {
    const std::uint32_t places = FreePlaces(worker);
    if (places > 0) room[number] = places;
    free += places;
  }
  while (free > 0) {
    const std::vector<Turns::Queue*> queues = turns_.InTurn();
    std::uint32_t given = 0;
    for (Turns::Queue* const queue : queues) {
      if (free == 0) break;
      // A fair part of what is free, so that the next queue finds room too.
      const auto waiting = static_cast<std::uint32_t>(queues.size());
      const std::uint32_t part = std::max(1U, free / waiting);
      const std::uint32_t allowed = Turns::Allowed(*queue, part);
      if (allowed == 0) continue;
      const auto to = std::max_element(room.begin(), room.end(), [](const auto& a, const auto& b) {
        return a.second < b.second;
      });
      const std::uint32_t limit = std::min(allowed, to->second);
      auto leased = TRY(store_->Lease(queue->name,
                                      {.limit = limit,
                                       .until = now_ + kLease,
                                       .bytes_max = 16 << 20,
                                       .holder = HolderOf(to->first, workers_.at(to->first).pid)},
                                      now_));
      if (leased.size() < limit) queue->hungry = false;
      const auto count = static_cast<std::uint32_t>(leased.size());
      Turns::Begun(*queue, count);
      to->second -= count;
      free -= count;
      given += count;
      for (queue::Leased& task : leased) {
        given_.push_back({to->first, queue->name, std::move(task)});
      }
    }
    if (given == 0) break;
  }
  return Done();
}

// What was leased is on its way only now: it is in the file.
void Broker::SendGiven() {
  for (const Given& given : std::exchange(given_, {})) {
    const queue::Leased& task = given.task;
    Running running{.token = task.held.token, .queue = given.queue, .worker = given.worker};
    running.sent = reactor_->now();
    running.in_group = task.group != queue::kNoTask;
    if (given.queue == kJobsQueue) {
      running.again = task.retries > 0;
      (void)jobs_->Begun(task.held.id, given.worker, now_);
    }
    if (task.timeout > Duration()) running.deadline = reactor_->now() + task.timeout;
    const std::string body = Show(task, {.queue = given.queue, .broker = id_})
                                 .dump(-1, ' ', false, json::error_handler_t::replace);
    const auto worker = workers_.find(given.worker);
    TaskChannel* channel = worker == workers_.end() ? nullptr : worker->second.channel.get();
    const bool sent =
        channel != nullptr &&
        channel->Send(
            {.id = task.held.id, .name = task.name, .body = body, .deadline = running.deadline});
    running.in_slot = sent;
    // Whoever had it of a broker before has let its lease pass.
    const auto before = running_.find(task.held.id);
    if (before != running_.end()) Remove({task.held.id, before->second.token});
    running_[task.held.id] = std::move(running);
    if (sent) continue;
    returned_.push_back(task.held);
    if (worker != workers_.end()) worker->second.full_until = reactor_->now() + kFullPause;
  }
}

// Another may have it by now, by another token.
void Broker::Remove(const queue::Held& held) {
  const auto found = running_.find(held.id);
  if (found == running_.end() || found->second.token != held.token) return;
  const Running& running = found->second;
  Turns::Queue& queue = turns_.Find(running.queue);
  if (queue.running > 0) --queue.running;
  const auto worker = workers_.find(running.worker);
  if (running.adopted && worker != workers_.end()) --worker->second.adopted;
  queue.hungry = freed_ = true;
  running_.erase(found);
}

// Of the dead, and what nobody was sent. In the group.
Status Broker::ReturnLost() {
  constexpr std::size_t kAtOnce = queue::Store::kBatchMax;
  if (!lost_.empty()) {
    const std::size_t count = std::min(lost_.size(), kAtOnce);
    TRY(store_->ReturnOfDead(std::span(lost_).first(count), now_));
    turns_.WakeAll();
    Afterwards([this, count] {
      for (std::size_t i = 0; i < count; ++i) {
        if (IsJob(lost_[i].id)) learned_.emplace_back(lost_[i].id, Interrupt::kNone);
        Remove(lost_[i]);
        ended_.push_back(lost_[i].id);  // as a dead letter, perhaps
      }
      lost_.erase(lost_.begin(), lost_.begin() + static_cast<std::ptrdiff_t>(count));
    });
  }
  if (!lost_jobs_.empty()) {
    const std::size_t count = std::min(lost_jobs_.size(), kAtOnce);
    TRY(FailJobs(std::span(lost_jobs_).first(count)));
    Afterwards([this, count] {
      for (std::size_t i = 0; i < count; ++i) {
        const queue::TaskId id = lost_jobs_[i].id;
        learned_.emplace_back(id, Interrupt::kNone);
        Remove(lost_jobs_[i]);
        ended_.push_back(id);
      }
      lost_jobs_.erase(lost_jobs_.begin(), lost_jobs_.begin() + static_cast<std::ptrdiff_t>(count));
    });
  }
  if (!returned_.empty()) {
    const std::size_t count = std::min(returned_.size(), kAtOnce);
    TRY(store_->Release(std::span(returned_).first(count), now_));
    turns_.WakeAll();
    Afterwards([this, count] {
      for (std::size_t i = 0; i < count; ++i) {
        Remove(returned_[i]);
        ended_.push_back(returned_[i].id);  // cancelled, perhaps
      }
      returned_.erase(returned_.begin(), returned_.begin() + static_cast<std::ptrdiff_t>(count));
    });
  }
  return Done();
}

// Whoever is here keeps what it has, however long that takes.
Status Broker::RenewAll() {
  std::vector<queue::Renewal> renewals;
  std::vector<queue::Held> passed;
  for (auto& [id, running] : running_) {
    if (running.worker == 0) {  // nobody has come back with it
      const Duration waited = reactor_->now() - running.sent;
      if (!running.again && waited > kLease / 2) lost_jobs_.push_back({id, running.token});
      if (waited > 2 * kLease) passed.push_back({id, running.token});
      continue;
    }
    if (running.returned && reactor_->now() - *running.returned > kOutcomeTime) {
      handover_.log.Error("task {} has ended without an outcome", id);
      (running.again ? lost_ : lost_jobs_).push_back({id, running.token});
      running.returned = reactor_->now();
      continue;
    }
    renewals.push_back({.held = {id, running.token}, .until = now_ + kLease, .progress = {}});
    if (renewals.size() < queue::Store::kBatchMax) continue;
    TRY(store_->Renew(renewals));
    renewals.clear();
  }
  TRY(store_->Renew(renewals));
  Afterwards([this, passed = std::move(passed)] {
    for (const queue::Held& held : passed)
      Remove(held);
  });
  return Done();
}

// --- interrupted

void Broker::InterruptTask(queue::TaskId id, Running& running, Interrupt why) {
  if (running.interrupted != Interrupt::kNone) return;
  const auto worker = workers_.find(running.worker);
  if (worker == workers_.end()) return;
  TaskChannel* channel = worker->second.channel.get();
  if (channel != nullptr && channel->Revoke(id)) {
    returned_.push_back({id, running.token});  // where it was cancelled, that ends it
    return;
  }
  running.interrupted = why;
  running.deadline.reset();
  const char* const word = why == Interrupt::kTimeout     ? "timeout"
                           : why == Interrupt::kCancelled ? "cancelled"
                                                          : "stop";
  if (Client* client = worker->second.client) {
    client->Send({{"cancel", json::array({json::array({id, running.token, word})})}});
  }
  if (channel != nullptr) channel->Interrupt(id);
}

void Broker::CheckDeadlines() {
  for (auto& [id, running] : running_) {
    if (running.deadline && *running.deadline <= reactor_->now()) {
      InterruptTask(id, running, Interrupt::kTimeout);
    }
  }
}

void Broker::CheckAhead() {
  for (auto& [number, worker] : workers_) {
    if (worker.channel == nullptr || worker.channel->in_use() <= worker.channel->threads())
      continue;
    for (const queue::TaskId id : worker.channel->Waiting()) {
      const auto found = running_.find(id);
      if (found == running_.end() || reactor_->now() - found->second.sent < kAheadTime) continue;
      worker.quick = false;
      if (worker.channel->Revoke(id)) returned_.push_back({id, found->second.token});
    }
  }
}

void Broker::TellWorkersWanted() {
  if (std::exchange(workers_wanted_, true)) return;
  control_->Tell({{"tasks", true}});
}

}  // namespace onebox::broker
