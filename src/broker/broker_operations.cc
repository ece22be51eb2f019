// What clients ask of the broker. docs/internals/broker.md lists it.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "broker/broker.h"
#include "broker/words.h"

namespace onebox::broker {
namespace {

constexpr Duration kWaitMax = std::chrono::hours(1);
constexpr std::size_t kWaitersMax = 10'000;
constexpr std::uint32_t kListMax = 1000;
constexpr std::size_t kRulesMax = 256;

Error Later(std::string message) {
  return {Blame::kSystem, Retry::kYes, 0, std::move(message)};
}

json Names(const std::vector<queue::Outcome>& outcomes) {
  json names = json::array();
  for (const queue::Outcome outcome : outcomes)
    names.push_back(NameOf(outcome));
  return names;
}

}  // namespace

const Broker::Operation* Broker::FindOperation(std::string_view name) {
  using Row = std::pair<std::string_view, Operation>;
  static constexpr std::array kOperations = {
      Row{"hello", {When::kInGroup, &Broker::Hello}},
      Row{"declare", {When::kInGroup, &Broker::Declare}},
      Row{"enqueue", {When::kInGroup, &Broker::Enqueue}},
      Row{"group", {When::kInGroup, &Broker::EnqueueGroup}},
      Row{"done", {When::kInGroup, &Broker::Finish}},
      Row{"failed", {When::kInGroup, &Broker::Fail}},
      Row{"handed_back", {When::kInGroup, &Broker::HandBack}},
      Row{"progress", {When::kInGroup, &Broker::TakeProgress}},
      Row{"cancel", {When::kInGroup, &Broker::Cancel}},
      Row{"retry", {When::kInGroup, &Broker::RetryDead}},
      Row{"purge", {When::kInGroup, &Broker::Purge}},
      Row{"pause", {When::kInGroup, &Broker::Pause}},
      Row{"claim", {When::kAfterwards, &Broker::Claim}},
      Row{"status", {When::kAfterwards, &Broker::ShowStatus}},
      Row{"wait", {When::kAfterwards, &Broker::Wait}},
      Row{"members", {When::kAfterwards, &Broker::ShowMembers}},
      Row{"queues", {When::kAfterwards, &Broker::ShowQueues}},
      Row{"list", {When::kAfterwards, &Broker::List}},
      Row{"jobs", {When::kAfterwards, &Broker::ShowJobs}},
      Row{"job_history", {When::kAfterwards, &Broker::ShowHistory}},
      Row{"job_run", {When::kInGroup, &Broker::RunJob}},
      Row{"job_pause", {When::kInGroup, &Broker::PauseJob}},
      Row{"job_resume", {When::kInGroup, &Broker::ResumeJob}},
  };
  const auto found = std::find_if(
      kOperations.begin(), kOperations.end(), [&](const Row& row) { return row.first == name; });
  return found == kOperations.end() ? nullptr : &found->second;
}

void Broker::AnswerOne(Message& message, When when) {
  const std::string name = Text(At(message.body, "op"));
  const Operation* operation = FindOperation(name);
  if (operation == nullptr) {
    message.reply = ShowError(Wrong(fmt::format("\"{}\" is no operation", name)));
    return;
  }
  if (operation->when != when) return;
  auto reply = (this->*operation->run)(message);
  message.reply = reply.ok() ? std::move(reply).value() : ShowError(reply.error());
}

void Broker::Ended(const queue::Held& held) {
  Afterwards([this, held] {
    const auto found = running_.find(held.id);
    if (IsJob(held.id)) learned_.emplace_back(held.id, found->second.interrupted);
    Remove(held);
    ended_.push_back(held.id);
  });
}

// --- new tasks

Result<json> Broker::Enqueue(Message& message) {
  const json& asked = At(message.body, "tasks");
  if (!asked.is_array() || asked.size() > queue::Store::kBatchMax) {
    return Wrong(fmt::format("\"tasks\" is to be a list of up to {}", queue::Store::kBatchMax));
  }
  std::vector<queue::NewTask> tasks;
  std::vector<std::optional<Error>> refused;
  for (const json& value : asked) {
    const auto task = ReadTask(value, settings_.timeout, now_);
    refused.push_back(task.ok() ? std::nullopt : std::optional(task.error()));
    if (task.ok()) tasks.push_back(task.value());
  }
  const auto admitted = TRY(store_->Enqueue(tasks, now_));
  json answers = json::array();
  auto next = admitted.begin();
  for (const auto& error : refused) {
    if (error) {
      answers.push_back(ShowError(*error));
      continue;
    }
    answers.push_back(next->ok() ? Show(next->value()) : ShowError(next->error()));
    ++next;
  }
  for (const queue::NewTask& task : tasks)
    turns_.Wake(task.queue);
  return json{{"tasks", std::move(answers)}};
}

Result<json> Broker::EnqueueGroup(Message& message) {
  const json& asked = At(message.body, "members");
  if (!asked.is_array() || asked.size() > queue::Store::kBatchMax) {
    return Wrong(fmt::format("\"members\" is to be a list of up to {}", queue::Store::kBatchMax));
  }
  std::vector<queue::NewTask> members;
  for (const json& value : asked) {
    members.push_back(TRY(ReadTask(value, settings_.timeout, now_)));
  }
  const auto callback = TRY(ReadTask(At(message.body, "callback"), settings_.timeout, now_));
  const auto group = TRY(store_->EnqueueGroup(members, callback, now_));
  for (const queue::NewTask& task : members)
    turns_.Wake(task.queue);
  turns_.Wake(callback.queue);
  return json{{"callback", group.callback}, {"members", group.members}};
}

// --- ends

Result<json> Broker::Finish(Message& message) {
  const queue::Held held = ReadHeld(message.body);
  std::vector<queue::NextTask> next;
  for (const json& value : At(message.body, "next")) {
    next.push_back({.task = TRY(ReadTask(value, settings_.timeout, now_)),
                    .membership = IsTrue(At(value, "member"))
                                      ? queue::NextTask::Membership::kInherited
                                      : queue::NextTask::Membership::kNone});
  }
  const std::string result = Text(At(message.body, "result"));
  const queue::Acknowledgement done{.held = held, .result = result, .next = next};
  const auto outcomes = TRY(store_->Acknowledge({&done, 1}, now_));
  const queue::Acknowledged& outcome = outcomes.front();
  json ids = json::array();
  for (const queue::Enqueued& one : outcome.next)
    ids.push_back(one.id);
  if (outcome.outcome == queue::Outcome::kDone) {
    Ended(held);
    for (const queue::NextTask& one : next)
      turns_.Wake(one.task.queue);
    // Its group's callback may be free now, whatever queue that is in.
    const auto found = running_.find(held.id);
    if (found == running_.end() || found->second.in_group) turns_.WakeAll();
  }
  return json{{"outcome", NameOf(outcome.outcome)}, {"next", std::move(ids)}};
}

// What was interrupted for our reasons is not a failure of its own.
Result<json> Broker::Fail(Message& message) {
  const queue::Held held = ReadHeld(message.body);
  const auto found = running_.find(held.id);
  const Interrupt why = found == running_.end() ? Interrupt::kNone : found->second.interrupted;
  const bool again = found == running_.end() || found->second.again;
  if (why == Interrupt::kStop && again) return HandBack(message);
  const std::string traceback = Text(At(message.body, "traceback"));
  queue::Failure failure{.held = held, .traceback = traceback};
  const auto retry_in = DurationOf(At(message.body, "retry_in"));
  if (retry_in && why != Interrupt::kCancelled && again) failure.retry_at = now_ + *retry_in;
  const auto outcomes = TRY(store_->Fail({&failure, 1}, now_));
  if (outcomes.front() != queue::Outcome::kNotHeld) {
    if (found != running_.end()) turns_.Wake(found->second.queue);
    Ended(held);
  }
  return json{{"outcome", NameOf(outcomes.front())}};
}

Result<json> Broker::HandBack(Message& message) {
  const queue::Held held = ReadHeld(message.body);
  const auto found = running_.find(held.id);
  if (found != running_.end() && !found->second.again) {  // a job: it has failed, whatever it says
    TRY(FailJobs({&held, 1}));
    Ended(held);
    return json{{"outcome", NameOf(queue::Outcome::kDone)}};
  }
  const auto outcomes = TRY(store_->Release({&held, 1}, now_));
  if (found != running_.end()) turns_.Wake(found->second.queue);
  Afterwards([this, held] { Remove(held); });
  return json{{"outcome", NameOf(outcomes.front())}};
}

Result<json> Broker::TakeProgress(Message& message) {
  const json& progress = At(message.body, "progress");
  const queue::Renewal renewal{
      .held = ReadHeld(message.body),
      .until = now_ + kLease,
      .progress = progress.is_number() ? std::optional(progress.get<double>()) : std::nullopt};
  const auto outcomes = TRY(store_->Renew({&renewal, 1}));
  return json{{"outcome", NameOf(outcomes.front())}};
}

// --- what people do

Result<json> Broker::Cancel(Message& message) {
  const std::vector<queue::TaskId> ids = ReadIds(At(message.body, "ids"));
  if (ids.size() > queue::Store::kBatchMax) return Wrong("these are too many at once");
  const auto outcomes = TRY(store_->Cancel(ids, now_));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const queue::TaskId id = ids[i];
    if (outcomes[i] == queue::Outcome::kDone) {
      Afterwards([this, id] {
        ended_.push_back(id);
        ended_runs_.push_back(id);  // of a job, perhaps
      });
    }
    if (outcomes[i] != queue::Outcome::kRunning) continue;
    Afterwards([this, id] {
      const auto found = running_.find(id);
      if (found != running_.end()) InterruptTask(id, found->second, Interrupt::kCancelled);
    });
  }
  return json{{"outcomes", Names(outcomes)}};
}

Result<json> Broker::RetryDead(Message& message) {
  const std::vector<queue::TaskId> ids = ReadIds(At(message.body, "ids"));
  if (ids.size() > queue::Store::kBatchMax) return Wrong("these are too many at once");
  const auto outcomes = TRY(store_->RetryDead(ids, now_));
  turns_.WakeAll();
  return json{{"outcomes", Names(outcomes)}};
}

Result<json> Broker::Purge(Message& message) {
  const std::string queue = Text(At(message.body, "queue"));
  const bool dead = IsTrue(At(message.body, "dead"));
  const std::uint32_t limit = queue::Store::kBatchMax;
  const std::uint32_t purged =
      dead ? TRY(store_->PurgeDead(queue, limit, now_)) : TRY(store_->Purge(queue, limit, now_));
  if (queue == kJobsQueue) {
    Afterwards([this] {
      for (const schedule::RunId run : jobs_->RunsLeft())
        ended_runs_.push_back(run);
    });
  }
  return json{{"purged", purged}, {"more", purged == limit}};
}

Result<json> Broker::Pause(Message& message) {
  const std::string queue = Text(At(message.body, "queue"));
  const json& paused = At(message.body, "paused");
  if (queue.empty() || !paused.is_boolean()) return Wrong("a queue is paused, true or false");
  using Paused = queue::QueueFigures::Paused;
  TRY(store_->SetPaused(queue, paused.get<bool>() ? Paused::kYes : Paused::kNo));
  turns_.Wake(queue);
  return json::object();
}

// --- who they are

Result<json> Broker::Hello(Message& message) {
  const auto number = static_cast<std::uint32_t>(Number(At(message.body, "worker")));
  const auto pid = static_cast<std::int32_t>(Number(At(message.body, "pid")));
  Client* client = FindClient(message.client);
  if (client == nullptr || number == 0 || pid == 0)
    return Wrong("a worker says its number and pid");
  if (!client->open()) return Later("it has left");  // nobody would hear that it is gone
  Worker& worker = *WorkerOf(number, pid);
  client->worker = number;
  worker.client = client;
  json lost = json::array();
  std::set<queue::TaskId> named;
  for (const json& one : At(message.body, "held")) {
    const queue::Held held = ReadHeld(one);
    named.insert(held.id);
    const auto found = running_.find(held.id);
    const bool known = found != running_.end() && found->second.token == held.token;
    if (known && found->second.worker == number) continue;
    const queue::Renewal renewal{.held = held, .until = now_ + kLease, .progress = {}};
    const auto outcomes = TRY(store_->Renew({&renewal, 1}));
    if (outcomes.front() == queue::Outcome::kNotHeld) {
      lost.push_back({held.id, held.token});
      continue;
    }
    if (!known) continue;  // what the file calls running was read when it was opened
    found->second.worker = number;
    found->second.adopted = true;
    ++worker.adopted;
  }
  // What it had been sent by a broker before, and had not begun: it begins none of that any more.
  for (const auto& [id, running] : running_) {
    const bool its = running.worker == 0 && running.holder == pid;
    if (its && named.count(id) == 0) returned_.push_back({id, running.token});
  }
  return json{{"lost", std::move(lost)}, {"broker", id_}};
}

Result<json> Broker::Declare(Message& message) {
  const json& queues = At(message.body, "queues");
  json errors = json::array();
  if (Number(At(message.body, "generation")) < app_generation_) {  // a newer one has spoken
    return json{{"errors", std::move(errors)}};
  }
  errors = TRY(DeclareJobs(message.body));
  if (queues.is_object()) {
    for (const auto& [name, rule] : queues.items()) {
      if (turns_.all().size() >= kRulesMax && !turns_.all().contains(name)) {
        errors.push_back(
            {{"queue", name}, {"error", fmt::format("there are {} queues already", kRulesMax)}});
        continue;
      }
      const std::string text = Text(At(rule, "rate"));
      const auto rate = Rate::Parse(text);
      if (!text.empty() && !rate) {
        errors.push_back(
            {{"queue", name}, {"error", fmt::format("\"{}\" is no rate like \"10/s\"", text)}});
        continue;
      }
      const auto concurrency = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(Number(At(rule, "concurrency")), 1000));
      const bool set = std::any_of(settings_.rules.begin(),
                                   settings_.rules.end(),
                                   [&queue = name](const auto& one) { return one.first == queue; });
      if (!set && name != kJobsQueue) turns_.SetRule(name, {rate, concurrency}, reactor_->now());
    }
  }
  const json& tasks = At(message.body, "tasks");
  const json& jobs = At(message.body, "jobs");
  const bool any = (tasks.is_array() && !tasks.empty()) || (jobs.is_array() && !jobs.empty());
  if (any) Afterwards([this] { TellWorkersWanted(); });
  return json{{"errors", std::move(errors)}};
}

// Of one name there is one worker that has it, as long as that lives.
Result<json> Broker::Claim(Message& message) {
  const std::string name = Text(At(message.body, "name"));
  const Client* client = FindClient(message.client);
  if (name.empty() || client == nullptr || client->worker == 0) {
    return Wrong("a task worker claims a name");
  }
  const std::uint32_t holder = claims_.try_emplace(name, client->worker).first->second;
  return json{{"mine", holder == client->worker}};
}

// --- what they ask

Result<json> Broker::ShowStatus(Message& message) {
  const std::vector<queue::TaskId> ids = ReadIds(At(message.body, "ids"));
  if (ids.size() > queue::Store::kBatchMax) return Wrong("these are too many at once");
  json tasks = json::array();
  for (const queue::TaskId id : ids) {
    const auto status = TRY(store_->StatusOf(id));
    tasks.push_back(status ? Show(*status) : json());
  }
  return json{{"tasks", std::move(tasks)}};
}

Result<json> Broker::Wait(Message& message) {
  const auto id = static_cast<queue::TaskId>(Number(At(message.body, "id")));
  const auto status = TRY(store_->StatusOf(id));
  if (!status || status->state >= queue::kFirstEnded) {
    return json{{"task", status ? Show(*status) : json()}};
  }
  if (waiter_ends_.size() >= kWaitersMax) return Later("too many wait for results");
  const Duration wait =
      std::min(DurationOf(At(message.body, "seconds")).value_or(kWaitMax), kWaitMax);
  const Time until = reactor_->now() + wait;
  waiters_[id].push_back({message.client, At(message.body, "n"), until});
  waiter_ends_.emplace(until, id);
  message.later = true;
  return json::object();
}

Result<json> Broker::ShowMembers(Message& message) {
  const auto id = static_cast<queue::TaskId>(Number(At(message.body, "id")));
  json tasks = json::array();
  queue::Store::Page page{.after = queue::kNoTask, .limit = kListMax};
  for (;;) {
    const auto members = TRY(store_->Members(id, page));
    for (const queue::TaskStatus& member : members)
      tasks.push_back(Show(member));
    if (members.size() < page.limit) break;
    page.after = members.back().id;
  }
  return json{{"tasks", std::move(tasks)}};
}

Result<json> Broker::ShowQueues(Message& /*message*/) {
  json queues = json::array();
  for (const queue::QueueFigures& figures : TRY(store_->Figures(now_))) {
    json shown = Show(figures);
    const QueueRule rule = turns_.Find(figures.name).rule;
    shown["rate"] = rule.rate ? json(rule.rate->text()) : json();
    shown["concurrency"] = rule.concurrency > 0 ? json(rule.concurrency) : json();
    queues.push_back(std::move(shown));
  }
  json workers = json::array();
  for (const auto& [number, worker] : workers_) {
    const auto runs =
        std::count_if(running_.begin(), running_.end(), [its = number](const auto& one) {
          return one.second.worker == its;
        });
    workers.push_back({{"number", number},
                       {"pid", worker.pid},
                       {"threads", worker.channel != nullptr ? worker.channel->threads() : 0},
                       {"running", runs}});
  }
  json shown = ShowOutside();
  shown["queues"] = std::move(queues);
  shown["workers"] = std::move(workers);
  return shown;
}

Result<json> Broker::List(Message& message) {
  const std::string queue = Text(At(message.body, "queue"));
  const std::string state = Text(At(message.body, "state"));
  const json& after = At(message.body, "after");
  const queue::Store::Page page{
      .after = after.is_number_integer() ? after.get<queue::TaskId>() : queue::kNoTask,
      .limit = ReadLimit(message.body, 100, kListMax)};
  if (state != "dead" && state != "running") {
    return Wrong("\"state\" is to be dead or running");
  }
  std::vector<queue::TaskStatus> found;
  if (state == "running") {
    found = TRY(store_->Running(page));
  } else {
    for (const auto& [name, one] : turns_.all()) {
      if (!queue.empty() && queue != name) continue;
      const auto dead = TRY(store_->DeadLetters(name, page));
      found.insert(found.end(), dead.begin(), dead.end());
    }
  }
  json tasks = json::array();
  for (const queue::TaskStatus& task : found) {
    if (queue.empty() || task.queue == queue) tasks.push_back(Show(task));
  }
  return json{{"tasks", std::move(tasks)}};
}

}  // namespace onebox::broker
