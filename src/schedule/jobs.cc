#include "schedule/jobs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "schedule/jobs_schema.h"
#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

// Columns 1 to 14 of all_jobs, but the source.
JobSpec SpecIn(const Rows& rows) {
  JobSpec spec;
  spec.name = rows.Bytes(1);
  spec.kind = static_cast<TriggerKind>(rows.Integer(3));
  spec.text = rows.Bytes(4);
  spec.zone = rows.Bytes(5);
  spec.jitter = Duration(rows.Integer(6));
  spec.timeout = Duration(rows.Integer(7));
  spec.overlap = static_cast<Overlap>(rows.Integer(8));
  spec.catch_up.which = static_cast<CatchUp>(rows.Integer(9));
  spec.catch_up.all_max = static_cast<std::uint32_t>(rows.Integer(10));
  spec.catch_up.late = Duration(rows.Integer(11));
  spec.retries = static_cast<std::uint32_t>(rows.Integer(12));
  spec.work = static_cast<Work>(rows.Integer(13));
  spec.what = rows.Bytes(14);
  return spec;
}

JobState StateIn(const Rows& rows) {
  JobState job;
  job.id = rows.Integer(0);
  job.definition = Definition::Of(SpecIn(rows));
  job.source = static_cast<Source>(rows.Integer(2));
  job.handled = rows.Time(15);
  job.paused = rows.Integer(16) != 0;
  job.removed = rows.TimeIfAny(17);
  job.missed_total = static_cast<std::uint64_t>(rows.Integer(18));
  job.skipped_total = static_cast<std::uint64_t>(rows.Integer(19));
  return job;
}

}  // namespace

// --- the file

Result<std::unique_ptr<Jobs>> Jobs::Open(const std::string& path, const JobLimits& limits) {
  CHECK(limits.history_max > 0);
  sqlite::File file =
      TRY(OpenJobsFile(path, {.bytes_max = limits.file_bytes_max, .log_bytes = limits.log_bytes}));
  auto statements = TRY(Statements::Prepare(*file.database));
  std::unique_ptr<Jobs> jobs(new Jobs(limits, std::move(file), std::move(statements)));
  TRY(jobs->Load());
  return jobs;
}

Jobs::Jobs(const JobLimits& limits, sqlite::File file, Statements statements)
    : limits_(limits),
      lock_(std::move(file.lock)),
      database_(std::move(file.database)),
      statements_(std::move(statements)) {}

Jobs::~Jobs() = default;

Status Jobs::Load() {
  TRY(LoadJobs());
  TRY(LoadFirings());
  TRY(LoadRuns());
  for (auto& [id, job] : jobs_) {
    job.Aim();
    agenda_.Set(id, job.WakeAt());
    if (job.rows > limits_.history_max + job.unended.size()) overfull_.insert(id);
  }
  return Done();
}

Status Jobs::LoadJobs() {
  Rows rows = statements_.all_jobs.Query();
  while (TRY(rows.Next())) {
    JobState job = StateIn(rows);
    if (job.spec().overlap > Overlap::kParallel || job.spec().kind > TriggerKind::kAt ||
        WhyNot(job.spec())) {
      return database_->Damaged("a job that nobody can have declared");
    }
    names_.emplace(job.spec().name, job.id);
    if (job.removed) removed_.emplace(*job.removed, job.id);
    jobs_.emplace(job.id, std::move(job));
  }
  return Done();
}

Status Jobs::LoadFirings() {
  Rows fence = statements_.read_fence.Query();
  if (!TRY(fence.Next())) return database_->Damaged("the next fence is not there");
  next_fence_ = fence.Integer(0);
  Rows pending = statements_.all_pending.Query();
  while (TRY(pending.Next())) {
    JobState* const job = Of(pending.Integer(0));
    if (job == nullptr || pending.Integer(1) >= next_fence_)
      return database_->Damaged("a firing's job or fence");
    job->pending.push_back({.fence = pending.Integer(1),
                            .firing = pending.Time(2),
                            .manual = pending.Integer(3) != 0});
  }
  return Done();
}

Status Jobs::LoadRuns() {
  Rows unended = statements_.all_unended.Query();
  while (TRY(unended.Next())) {
    JobState* const job = Of(unended.Integer(0));
    if (job == nullptr) return database_->Damaged("a run's job");
    const bool begun = unended.Integer(3) == static_cast<int>(RunState::kRunning);
    job->unended.push_back({unended.Integer(2), unended.Integer(1), begun});
    unended_.emplace(unended.Integer(2), job->id);
  }
  Rows counts = statements_.count_runs.Query();
  while (TRY(counts.Next())) {
    JobState* const job = Of(counts.Integer(0));
    if (job == nullptr) return database_->Damaged("a run's job");
    job->rows = static_cast<std::uint32_t>(counts.Integer(1));
  }
  return Done();
}

// --- transactions

void Jobs::Accept(Draft&& draft) {
  next_fence_ = draft.next_fence;
  for (auto& [id, changed] : draft.jobs) {
    agenda_.Set(id, changed.WakeAt());
    names_.emplace(changed.spec().name, id);
    if (JobState* const before = Of(id)) {
      if (before->removed) removed_.erase({*before->removed, id});
    }
    if (changed.removed) removed_.emplace(*changed.removed, id);
    jobs_.insert_or_assign(id, std::move(changed));
  }
}

JobState& Jobs::Drafted(Draft& draft, const JobState& job) {
  return draft.jobs.try_emplace(job.id, job).first->second;
}

Status Jobs::Mark(const JobState& job) {
  return statements_.mark_job.Run(
      job.id, job.handled, job.paused, job.removed, job.missed_total, job.skipped_total);
}

JobState* Jobs::Of(std::int64_t id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

JobState* Jobs::FindLive(std::string_view name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return nullptr;
  JobState* const job = Of(found->second);
  return job->live() ? job : nullptr;
}

Result<JobState*> Jobs::Named(std::string_view name) {
  JobState* const job = FindLive(name);
  if (job == nullptr)
    return Error{Blame::kClient, Retry::kNever, 0, "there is no job " + Quoted(name)};
  return job;
}

// --- what people do

Status Jobs::Pause(std::string_view job, WallTime now) {
  JobState* const found = TRY(Named(job));
  return Within(Durability::kDisk, [&](Draft& draft) -> Status {
    JobState& changed = Drafted(draft, *found);
    changed.paused = true;
    TRY(PassOverWaiting(changed, now));
    return Mark(changed);
  });
}

Status Jobs::Resume(std::string_view job, WallTime now) {
  JobState* const found = TRY(Named(job));
  return Within(Durability::kDisk, [&](Draft& draft) -> Status {
    JobState& changed = Drafted(draft, *found);
    changed.paused = false;
    changed.handled = std::min(changed.handled, now);
    changed.Aim();
    return Mark(changed);
  });
}

}  // namespace onebox::schedule
