// Jobs: their firings become tasks, and what becomes of those becomes their history.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "broker/broker.h"
#include "broker/job_words.h"
#include "broker/words.h"

namespace onebox::broker {
namespace {

using schedule::RunState;

constexpr std::uint32_t kFiringsPerTurn = 1000;
constexpr std::uint32_t kJobsMax = 10'000;
constexpr std::uint32_t kHistoryMax = 1000;
constexpr std::uint32_t kSweptPerTick = 1000;
constexpr Duration kDeclarationTime = std::chrono::seconds(60);  // for an app to start
constexpr Duration kRunKeep = std::chrono::hours(24);  // of its task; the history has it for longer
constexpr std::string_view kDied = "its worker died, or its box ended";

}  // namespace

Status Broker::OpenJobs() {
  jobs_ = TRY(schedule::Jobs::Open(fmt::format("{}/{}", settings_.folder, kJobsFile), {}));
  const auto declared = TRY(jobs_->Declare(schedule::Source::kConfig, 1, settings_.jobs, now_));
  for (const auto& refused : declared.refused) {
    handover_.log.Error("[[job]] {}: {}", refused.job, refused.error);
  }
  if (!settings_.jobs.empty()) TellWorkersWanted();
  // What the app had when it ran last may not be what it has now.
  const auto known = TRY(jobs_->List({}, kJobsMax));
  const bool of_app = std::any_of(known.begin(), known.end(), [](const auto& job) {
    return job.source == schedule::Source::kApp;
  });
  if (!handover_.fresh) {
    app_generation_ = handover_.generation;
    for (const schedule::JobStatus& job : known) {
      if (job.source == schedule::Source::kApp) app_jobs_[job.job->name] = *job.job;
    }
  }
  if (handover_.fresh && of_app) firings_wait_until_ = reactor_->now() + kDeclarationTime;
  for (const schedule::RunId run : jobs_->RunsLeft()) {
    LearnEnd(run, Interrupt::kNone);
  }
  return Done();
}

// In the jobs' file, on the disk, before any of them is enqueued.
void Broker::TakeFirings() {
  const auto due = jobs_->NextDue();
  if (draining_ || failing_ || !due || *due > now_) return;
  if (reactor_->now() < firings_wait_until_ || !FiresJobs()) return;
  auto firings = jobs_->TakeDue(now_, kFiringsPerTurn);
  if (firings.ok()) {
    firings_ = std::move(firings).value();
    jobs_wait_until_ = Time::min();
    return;
  }
  if (reactor_->now() < jobs_wait_until_) return;
  handover_.log.Error("jobs do not run: {}", firings.error().message);
  jobs_wait_until_ = reactor_->now() + std::chrono::seconds(10);
}

Result<queue::TaskId> Broker::EnqueueFiring(const schedule::Firing& firing) {
  const std::string payload = PayloadOf(firing, FenceOf(firing));
  const schedule::JobSpec& job = *firing.job;
  const queue::NewTask task{.queue = kJobsQueue,
                            .name = job.name,
                            .payload = payload,
                            .eta = firing.time,
                            .retries = job.retries,
                            .timeout = job.timeout > Duration() ? job.timeout : settings_.timeout,
                            .result_keep = kRunKeep,
                            .dedupe_key = firing.key};
  const auto admitted = TRY(store_->Enqueue({&task, 1}, now_));
  const queue::Store::Admission& admission = admitted.front();
  if (!admission.ok()) {
    Afterwards([this, fence = firing.fence, name = job.name, error = admission.error()] {
      handover_.log.Error("job {} is not enqueued: {}", name, error.message);
      (void)jobs_->Refused(fence, now_);
    });
    return queue::kNoTask;
  }
  const queue::TaskId id = admission.value().id;
  TRY(store_->Cancel(firing.replaces, now_));
  const bool known = admission.value().as != queue::Enqueued::As::kNew;
  Afterwards([this, id, known, fence = firing.fence, replaces = firing.replaces] {
    enqueued_.push_back({fence, id});
    if (known) ended_runs_.push_back(id);
    for (const queue::TaskId one : replaces) {
      const auto found = running_.find(one);
      if (found != running_.end()) {
        InterruptTask(one, found->second, Interrupt::kCancelled);
      } else {
        ended_runs_.push_back(one);  // it had not begun
      }
    }
  });
  turns_.Wake(kJobsQueue);
  return id;
}

// In the group.
Status Broker::EnqueueFirings() {
  for (const schedule::Firing& firing : firings_) {
    TRY(EnqueueFiring(firing));
  }
  return Done();
}

// After the group, done or not: the jobs' file hears of it.
void Broker::TellJobs(bool written) {
  if (!written) {
    for (const schedule::Firing& firing : firings_)
      (void)jobs_->Refused(firing.fence, now_);
  }
  firings_.clear();
  if (!enqueued_.empty()) {
    const Status told = jobs_->Enqueued(enqueued_);
    if (!told.ok()) {  // they are given out again, and the queue knows them
      handover_.log.Error("jobs cannot be written: {}", told.error().message);
      for (const auto& one : enqueued_)
        (void)jobs_->Refused(one.fence, now_);
    }
    enqueued_.clear();
  }
  for (const auto& [id, why] : std::exchange(learned_, {}))
    LearnEnd(id, why);
  for (const queue::TaskId id : std::exchange(ended_runs_, {}))
    LearnEnd(id, Interrupt::kNone);
}

// Where the task of a run has ended, so has the run.
void Broker::LearnEnd(queue::TaskId id, Interrupt why) {
  if (!jobs_->IsLeft(id)) return;  // that is known
  const auto status = store_->StatusOf(id);
  if (!status.ok()) return;  // asked again at the next start
  const auto end = [&](RunState state, std::string_view traceback) {
    if (status.value()) ++job_ends_[{status.value()->name, state}];
    const Status told = jobs_->Ended(id, state, traceback, now_);
    if (!told.ok())
      handover_.log.Error("the end of a job is not written: {}", told.error().message);
  };
  if (!status.value()) return end(RunState::kDied, "nothing is known of it any more");
  const queue::TaskStatus& task = *status.value();
  if (task.state < queue::kFirstEnded) return;
  if (task.state == queue::State::kDone) return end(RunState::kDone, {});
  if (task.state != queue::State::kDead) return end(RunState::kCancelled, task.outcome);
  const bool died = task.outcome == kDied;
  end(died                         ? RunState::kDied
      : why == Interrupt::kTimeout ? RunState::kTimeout
                                   : RunState::kFailed,
      task.outcome);
}

// A job whose worker has died is not begun again, unless it says so: who knows how far it had got.
Status Broker::FailJobs(std::span<const queue::Held> held) {
  std::vector<queue::Failure> failures;
  failures.reserve(held.size());
  for (const queue::Held& one : held)
    failures.push_back({.held = one, .traceback = kDied, .retry_at = {}});
  TRY(store_->Fail(failures, now_));
  return Done();
}

bool Broker::IsJob(queue::TaskId id) const {
  const auto found = running_.find(id);
  return found != running_.end() && found->second.queue == kJobsQueue;
}

void Broker::SweepJobs() {
  const auto swept = jobs_->Sweep(kSweptPerTick, now_);
  if (!swept.ok()) handover_.log.Error("jobs are not swept: {}", swept.error().message);
}

// --- what clients ask

// Each worker tells what it has. A job that one of them has made while it runs is not in the others, so within a
// generation what was told before stays, until somebody says that it is removed.
Result<json> Broker::DeclareJobs(const json& body) {
  const std::uint64_t generation = Number(At(body, "generation"));
  json errors = json::array();
  std::map<std::string, schedule::JobSpec> jobs;
  if (generation == app_generation_) jobs = app_jobs_;
  for (const json& name : At(body, "removed"))
    jobs.erase(Text(name));
  const json& asked = At(body, "jobs");
  if (asked.is_array()) {
    for (const json& value : asked) {
      auto job = ReadJob(value);
      if (job.ok()) {
        const std::string name = job.value().name;
        jobs[name] = std::move(job).value();
      } else {
        errors.push_back({{"job", Text(At(value, "name"))}, {"error", job.error().message}});
      }
    }
  }
  firings_wait_until_ = Time::min();
  std::vector<schedule::JobSpec> all;
  all.reserve(jobs.size());
  for (const auto& [name, job] : jobs)
    all.push_back(job);
  const auto declared = TRY(jobs_->Declare(schedule::Source::kApp, generation, all, now_));
  for (const auto& refused : declared.refused) {
    errors.push_back({{"job", refused.job}, {"error", refused.error}});
    jobs.erase(refused.job);
  }
  app_jobs_ = std::move(jobs);
  app_generation_ = generation;
  return errors;
}

Result<json> Broker::ShowJobs(Message& /*message*/) {
  json jobs = json::array();
  for (const schedule::JobStatus& job : TRY(jobs_->List({}, kJobsMax)))
    jobs.push_back(Show(job));
  return json{{"jobs", std::move(jobs)}};
}

Result<json> Broker::ShowHistory(Message& message) {
  const std::uint32_t most = ReadLimit(message.body, 100, kHistoryMax);
  json runs = json::array();
  for (const schedule::JobRun& run : TRY(jobs_->History(Text(At(message.body, "job")), most))) {
    runs.push_back(Show(run));
  }
  return json{{"runs", std::move(runs)}};
}

Result<json> Broker::RunJob(Message& message) {
  const schedule::Firing firing = TRY(jobs_->RunNow(Text(At(message.body, "job")), now_));
  by_hand_.push_back(firing.fence);
  const queue::TaskId id = TRY(EnqueueFiring(firing));
  if (id == queue::kNoTask) return Wrong("the queue of jobs does not take it");
  return json{{"id", id}};
}

Result<json> Broker::PauseJob(Message& message) {
  TRY(jobs_->Pause(Text(At(message.body, "job")), now_));
  return json::object();
}

Result<json> Broker::ResumeJob(Message& message) {
  TRY(jobs_->Resume(Text(At(message.body, "job")), now_));
  return json::object();
}

}  // namespace onebox::broker
