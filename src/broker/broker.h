#pragma once
// The broker: takes tasks and jobs from the app, keeps them durable, and has task workers run them.
//
// One thread. A turn takes what has come from all clients, does it as one transaction of the store,
// which waits for the disk once, and answers when that is done. Its parts are apart by what they are
// about: broker.cc has the turn, broker_operations.cc what clients ask, broker_workers.cc who runs what,
// broker_jobs.cc what fires, broker_outside.cc what comes from other servers.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "attach/attach_listener.h"
#include "base/clock.h"
#include "base/result.h"
#include "broker/client.h"
#include "broker/control.h"
#include "broker/metrics.h"
#include "broker/settings.h"
#include "broker/task_channel.h"
#include "broker/turns.h"
#include "database/outbox_thread.h"
#include "election/election.h"
#include "event/reactor.h"
#include "os/fd.h"
#include "os/random.h"
#include "queue/store.h"
#include "schedule/jobs.h"
#include "telemetry/log.h"

namespace onebox::broker {

using nlohmann::json;

// From the supervisor; the descriptors are the broker's own.
struct Handover {
  os::Fd socket;                 // a listener: whoever asks
  os::Fd attach;                 // a SEQPACKET listener: task workers
  os::Fd control;                // to the supervisor; control.h has the messages
  std::uint64_t generation = 0;  // of the app that serves
  bool fresh = true;  // no task worker of before lives: what the file calls running is not
  std::vector<int> worker_pids = {};                      // of the task workers that do
  std::function<void(std::string_view metrics)> publish;  // for /metrics, once a second
  const Clock& clock;
  telemetry::Log& log;
};

class Broker final : public event::TurnEnd {
 public:
  static constexpr Duration kLease = std::chrono::seconds(30);
  // What waits in a channel for longer goes back, and to whoever is free.
  static constexpr Duration kAheadTime = std::chrono::milliseconds(20);

  Broker(const Settings& settings, Handover handover)
      : settings_(settings), handover_(std::move(handover)) {}

  Status Open();
  // Until it is told to end.
  void Run();
  // One turn: sleeps until there is something to do, for at most `sleep_max`. False: it has ended.
  bool Turn(Duration sleep_max);

 private:
  enum class Interrupt : unsigned char { kNone, kTimeout, kCancelled, kStop };

  // A task that some worker has, or had when it was last heard of.
  struct Running {
    queue::Token token = 0;
    std::string queue;
    std::uint32_t worker = 0;        // its number; 0: it has not come back to this broker yet
    bool in_slot = false;            // of the worker's channel: its thread is not free
    Time sent{};                     // to the worker
    std::optional<Time> deadline{};  // then it is interrupted
    bool adopted = false;            // of a broker before: it is in no slot of ours
    std::optional<Time> returned{};  // its thread was free again, and its outcome is to come
    Interrupt interrupted = Interrupt::kNone;
    std::int32_t holder = 0;  // the pid of who had it of a broker before
    bool again = true;        // where its worker dies; a job only where it says so
    bool in_group = false;    // its end may free a callback
    bool unbegun = false;     // its worker has died, and none of its threads had taken it
  };

  struct Worker {
    std::int32_t pid = 0;
    std::unique_ptr<TaskChannel> channel;  // null: not attached
    Client* client = nullptr;              // null: not connected
    bool retired = false;                  // it is given nothing more
    bool quick = false;         // its last tasks were short: some may wait in the channel
    std::uint32_t adopted = 0;  // tasks that it runs and has of a broker before
    Time full_until{};          // its channel had no room
  };

  // What a client asks.
  struct Message {
    std::uint64_t client = 0;
    json body;
    json reply = json::object();
    bool later = false;  // it is answered by somebody else, and later
  };
  enum class When : unsigned char { kInGroup, kAfterwards };
  struct Operation {
    When when;
    Result<json> (Broker::*run)(Message&);
  };

  struct Waiter {
    std::uint64_t client = 0;
    json n;
    Time until;
  };

  struct Given {
    std::uint32_t worker = 0;
    std::string queue;
    queue::Leased task;
  };

  // broker.cc: the turn
  bool OnTurnEnd() override;
  bool WorkToDo() const;
  void RunGroup();
  Status DoGroup();
  void Answer();
  void TellWaiters();
  void LookAtWaiters(queue::TaskId id);
  void SetAlarm();
  void OnAlarm() {}
  void OnTick();
  void PublishMetrics();
  void Drain();
  void CheckDrain();
  bool AnyRuns() const;
  void TakeControl(const json& message);
  Time AtSteady(WallTime wall) const;

  // broker_clients.cc
  void Accept();
  Client* FindClient(std::uint64_t name);
  void Take(Client& client, json body);
  void Forget(Client& client);
  void BuryClients();

  // broker_operations.cc
  static const Operation* FindOperation(std::string_view name);
  void AnswerOne(Message& message, When when);
  Result<json> Hello(Message& message);
  Result<json> Declare(Message& message);
  Result<json> Enqueue(Message& message);
  Result<json> EnqueueGroup(Message& message);
  Result<json> Finish(Message& message);
  Result<json> Fail(Message& message);
  Result<json> HandBack(Message& message);
  Result<json> TakeProgress(Message& message);
  Result<json> Cancel(Message& message);
  Result<json> RetryDead(Message& message);
  Result<json> Purge(Message& message);
  Result<json> Pause(Message& message);
  Result<json> ShowStatus(Message& message);
  Result<json> Wait(Message& message);
  Result<json> ShowMembers(Message& message);
  Result<json> ShowQueues(Message& message);
  Result<json> List(Message& message);
  Result<json> Claim(Message& message);
  // When the group is on the disk.
  void Afterwards(std::function<void()> effect) { effects_.push_back(std::move(effect)); }
  void Ended(const queue::Held& held);

  // broker_workers.cc
  void AddChannel(std::unique_ptr<channel::FrontEnd> end);
  Worker* WorkerOf(std::uint32_t number, std::int32_t pid);
  void ChannelEnded(TaskChannel& channel, queue::TaskId id);
  void ChannelStuck(const TaskChannel& channel, channel::Stuck how);
  void ChannelDied(TaskChannel& channel);
  void BuryWorkers();
  void LoseWorker(std::uint32_t number);
  void LoseUnclaimed(std::int32_t pid);
  void Retire(std::uint32_t number);
  std::uint32_t FreePlaces(const Worker& worker) const;
  Status Lease();
  void SendGiven();
  Status ReturnLost();
  Status RenewAll();
  void CheckDeadlines();
  void CheckAhead();
  void InterruptTask(queue::TaskId id, Running& running, Interrupt why);
  void Remove(const queue::Held& held);
  Status LoadRunning();
  void TellWorkersWanted();

  // broker_jobs.cc
  Status OpenJobs();
  void TakeFirings();
  Result<queue::TaskId> EnqueueFiring(const schedule::Firing& firing);
  Status EnqueueFirings();
  void TellJobs(bool written);
  void LearnEnd(queue::TaskId id, Interrupt why);
  Status FailJobs(std::span<const queue::Held> held);
  bool IsJob(queue::TaskId id) const;
  void SweepJobs();
  Result<json> DeclareJobs(const json& body);
  Result<json> ShowJobs(Message& message);
  Result<json> ShowHistory(Message& message);
  Result<json> RunJob(Message& message);
  Result<json> PauseJob(Message& message);
  Result<json> ResumeJob(Message& message);

  // broker_outside.cc
  Status OpenOutside();
  bool FiresJobs() const;
  std::int64_t FenceOf(const schedule::Firing& firing) const;
  void FollowLeader();
  void TakeFromOutbox();
  Status EnqueueFromOutbox();
  void AnswerOutbox(bool written);
  json ShowOutside() const;

  const Settings settings_;
  Handover handover_;
  std::unique_ptr<event::Reactor> reactor_;
  std::unique_ptr<queue::Store> store_;
  std::unique_ptr<schedule::Jobs> jobs_;
  JobEnds job_ends_;  // for /metrics
  // Jobs of the app, as the workers of its newest generation have told them.
  std::map<std::string, schedule::JobSpec> app_jobs_;
  std::uint64_t app_generation_ = 0;
  std::vector<schedule::Firing> firings_;               // taken, and in this turn's group
  std::vector<std::int64_t> by_hand_;                   // in this turn's group
  std::vector<schedule::Jobs::Confirmation> enqueued_;  // on the disk; their file is to be told
  std::vector<std::pair<queue::TaskId, Interrupt>> learned_;  // runs that may have ended, and why
  std::vector<queue::TaskId> ended_runs_;                     // likewise
  Time firings_wait_until_ = Time::min();  // for the app to say which jobs it has
  Time jobs_wait_until_ = Time::min();     // after a line in the log
  std::unique_ptr<Control> control_;
  std::unique_ptr<attach::AttachListener> attach_;
  Turns turns_;
  WallTime now_{};
  const std::string id_ = fmt::format("{:016x}", os::Random64());  // of this broker alone

  class Socket final : public event::Watcher {
   public:
    explicit Socket(Broker& broker) : broker_(broker) {}
    void OnReady(std::uint32_t /*events*/) override { broker_.Accept(); }

   private:
    Broker& broker_;
  };
  Socket socket_{*this};
  class Outside final : public event::Watcher {
   public:
    void OnReady(std::uint32_t /*events*/) override {}  // the turn's end looks
  };
  Outside outside_;
  std::unique_ptr<database::OutboxThread> outbox_;  // null: there is none
  std::optional<database::OutboxThread::Batch> from_outbox_;
  database::OutboxAnswer outbox_answer_;
  std::unique_ptr<election::Election> election_;  // null: this box is alone
  Client::Owner client_owner_;
  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;
  std::map<const Client*, std::uint64_t> client_names_;
  std::uint64_t last_client_ = 0;
  std::vector<std::uint64_t> closed_clients_;
  std::deque<Message> inbox_;  // whoever is closed within a turn may add to it

  TaskChannel::Owner channel_owner_;
  std::map<std::uint32_t, Worker> workers_;  // by number
  std::vector<std::unique_ptr<TaskChannel>> dead_channels_;
  std::unordered_map<queue::TaskId, Running> running_;
  std::vector<Given> given_;            // in this turn's group
  std::vector<queue::Held> lost_;       // of workers that died
  std::vector<queue::Held> lost_jobs_;  // likewise, and they are not begun again
  std::vector<queue::Held> returned_;   // leased, and sent to nobody
  std::vector<std::function<void()>> effects_;
  std::map<std::string, std::uint32_t, std::less<>> claims_;  // by name: a worker's number

  std::map<queue::TaskId, std::vector<Waiter>> waiters_;
  queue::TaskId looked_at_ = queue::kNoTask;  // of those who wait, at the last tick
  std::multiset<std::pair<Time, queue::TaskId>> waiter_ends_;  // of all who wait: until when
  std::vector<queue::TaskId> ended_;                           // somebody may wait for them

  std::optional<WallTime> next_due_;
  bool freed_ = false;    // a queue may begin another task, since leases were given in this turn
  bool changed_ = true;   // next_due_ is to be asked for again
  bool tick_due_ = true;  // once a second
  bool failing_ = false;  // the last group could not be written
  bool workers_wanted_ = false;
  bool draining_ = false;
  bool finishing_ = false;  // it ends when nothing runs
  bool stopped_tasks_ = false;
  Time drain_deadline_ = Time::max();
  bool ended_all_ = false;
  event::CallTimer<&Broker::OnAlarm> alarm_{*this};
  event::CallTimer<&Broker::OnTick> tick_{*this};
};

}  // namespace onebox::broker
