#include <algorithm>
#include <utility>

#include "base/check.h"
#include "schedule/jobs.h"

namespace onebox::schedule {
namespace {

// Removed when a line is added: more than are added, so that a limit that was lowered is met soon.
constexpr std::uint32_t kDroppedWithOne = 2;

std::string_view EndOf(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  text.remove_prefix(text.size() - bytes_max);
  const auto inside = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  while (!text.empty() && inside(text.front())) {  // no half of a character in UTF-8
    text.remove_prefix(1);
  }
  return text;
}

}  // namespace

// --- lines of the history

Status Jobs::Tell(JobState& job, RunState state, const Told& told, WallTime now) {
  if (told.count == 0) return Done();
  (state == RunState::kMissed ? job.missed_total : job.skipped_total) += told.count;
  if (job.told_row != 0 && job.told == state)
    return statements_.tell_more.Run(job.told_row, told.count, told.last, now);
  JobRun run;
  run.state = state;
  run.firing = told.first;
  run.last = told.last;
  run.count = told.count;
  run.ended = now;
  const std::int64_t row = TRY(AddRun(job, run));
  if (!job.unended.empty()) job.told_row = row;
  job.told = state;
  return Done();
}

Result<std::int64_t> Jobs::AddRun(JobState& job, const JobRun& run) {
  std::int64_t row = 0;
  {
    Rows rows = statements_.add_run.Query(job.id,
                                          static_cast<int>(run.state),
                                          run.run,
                                          run.firing,
                                          run.last,
                                          run.count,
                                          run.fence,
                                          run.manual,
                                          run.ended);
    if (!TRY(rows.Next())) return database_->Damaged("a run that was added has no id");
    row = rows.Integer(0);
  }
  ++job.rows;
  job.told_row = 0;
  TRY(DropBeyondLimit(job, kDroppedWithOne));
  return row;
}

Result<std::uint32_t> Jobs::DropBeyondLimit(JobState& job, std::uint32_t limit) {
  const std::size_t kept = limits_.history_max + job.unended.size();
  if (job.rows <= kept) return 0U;
  return DropOldest(job, static_cast<std::uint32_t>(std::min<std::size_t>(limit, job.rows - kept)));
}

Result<std::uint32_t> Jobs::DropOldest(JobState& job, std::uint32_t limit) {
  std::uint32_t dropped = 0;
  Rows rows = statements_.drop_oldest.Query(job.id, limit);
  while (TRY(rows.Next())) {
    ++dropped;
  }
  job.rows -= dropped;
  return dropped;
}

Status Jobs::Begun(RunId run, std::int64_t worker, WallTime now) {
  const auto found = unended_.find(run);
  if (found == unended_.end()) return Done();
  const JobState& job = *Of(found->second);
  return Within(Durability::kKernel, [&](Draft& draft) -> Status {
    for (Unended& one : Drafted(draft, job).unended) {
      if (one.run != run) continue;
      one.begun = true;
      return statements_.begin_run.Run(one.row, worker, now);
    }
    return Done();
  });
}

Status Jobs::Ended(RunId run, RunState state, std::string_view traceback, WallTime now) {
  CHECK(state >= RunState::kDone && state <= RunState::kCancelled);
  const auto found = unended_.find(run);
  if (found == unended_.end()) return Done();
  const JobState& before = *Of(found->second);
  const auto write = [&](Draft& draft) -> Status {
    JobState& job = Drafted(draft, before);
    const auto one = std::find_if(job.unended.begin(),
                                  job.unended.end(),
                                  [&](const Unended& unended) { return unended.run == run; });
    CHECK(one != job.unended.end());
    std::optional<std::string_view> kept;
    if (!traceback.empty()) kept = EndOf(traceback, limits_.traceback_bytes_max);
    TRY(statements_.end_run.Run(one->row, static_cast<int>(state), now, kept));
    if (kept) TRY(statements_.drop_tracebacks.Run(job.id, limits_.tracebacks_max));
    job.unended.erase(one);
    job.told_row = 0;
    TRY(DropBeyondLimit(job, kDroppedWithOne));
    return Done();
  };
  TRY(Within(Durability::kKernel, write));
  unended_.erase(found);
  return Done();
}

std::vector<RunId> Jobs::RunsLeft() const {
  std::vector<RunId> left;
  left.reserve(unended_.size());
  for (const auto& [run, job] : unended_) {
    left.push_back(run);
  }
  std::sort(left.begin(), left.end());
  return left;
}

// --- what people ask

Result<std::vector<JobRun>> Jobs::RunsIn(Rows rows) {
  std::vector<JobRun> runs;
  while (TRY(rows.Next())) {
    const JobState* const job = Of(rows.Integer(0));
    if (job == nullptr) return database_->Damaged("a run's job");
    JobRun& run = runs.emplace_back();
    run.job = job->spec().name;
    run.state = static_cast<RunState>(rows.Integer(1));
    run.run = rows.Integer(2);
    run.firing = rows.Time(3);
    run.last = rows.Time(4);
    run.count = static_cast<std::uint64_t>(rows.Integer(5));
    run.fence = rows.Integer(6);
    run.manual = rows.Integer(7) != 0;
    run.worker = rows.Integer(8);
    run.attempts = static_cast<std::uint32_t>(rows.Integer(9));
    run.begun = rows.TimeIfAny(10);
    run.ended = rows.TimeIfAny(11);
    run.traceback = rows.Bytes(12);
  }
  return runs;
}

Result<std::vector<JobRun>> Jobs::History(std::string_view job, std::uint32_t limit) {
  if (job.empty()) return RunsIn(statements_.runs.Query(limit));
  const JobState* const found = TRY(Named(job));
  return RunsIn(statements_.runs_of_job.Query(found->id, limit));
}

Result<std::vector<JobStatus>> Jobs::List(std::string_view after, std::uint32_t limit) {
  std::vector<JobStatus> list;
  for (auto at = names_.upper_bound(after); at != names_.end() && list.size() < limit; ++at) {
    const JobState& job = *Of(at->second);
    if (!job.live()) continue;
    JobStatus& status = list.emplace_back();
    status.job = std::shared_ptr<const JobSpec>(job.definition, &job.definition->spec);
    status.source = job.source;
    status.error = job.definition->error;
    status.next = job.next;
    status.paused = job.paused;
    status.pending = static_cast<std::uint32_t>(job.pending.size());
    for (const Unended& run : job.unended) {
      ++(run.begun ? status.running : status.waiting);
    }
    status.missed_total = job.missed_total;
    status.skipped_total = job.skipped_total;
    auto newest = TRY(RunsIn(statements_.runs_of_job.Query(job.id, 1)));
    if (!newest.empty()) status.last = std::move(newest.front());
  }
  return list;
}

// --- what is kept no longer

Result<std::uint32_t> Jobs::Sweep(std::uint32_t limit, WallTime now) {
  std::uint32_t swept = 0;
  std::vector<std::int64_t> jobs(overfull_.begin(), overfull_.end());
  for (const auto& [when, job] : removed_) {
    if (when + limits_.removed_keep <= now) jobs.push_back(job);
  }
  for (const std::int64_t job : jobs) {
    if (swept == limit) break;
    swept += TRY(SweepJob(job, limit - swept, now));
  }
  return swept;
}

Result<std::uint32_t> Jobs::SweepJob(std::int64_t id, std::uint32_t limit, WallTime now) {
  const JobState& before = *Of(id);
  const bool gone = before.removed && *before.removed + limits_.removed_keep <= now;
  bool forget = false;
  const auto sweep = [&](Draft& draft) -> Result<std::uint32_t> {
    JobState& job = Drafted(draft, before);
    const std::uint32_t dropped = TRY(gone ? DropOldest(job, limit) : DropBeyondLimit(job, limit));
    forget = gone && job.rows == 0 && job.pending.empty();
    if (forget) TRY(statements_.drop_job.Run(id));
    return dropped;
  };
  const std::uint32_t swept = TRY(Within(Durability::kKernel, sweep));
  if (forget) Forget(id);
  if (!gone && swept < limit) overfull_.erase(id);
  return swept;
}

void Jobs::Forget(std::int64_t id) {
  const JobState& job = *Of(id);
  names_.erase(job.spec().name);
  removed_.erase({*job.removed, id});
  overfull_.erase(id);
  agenda_.Set(id, std::nullopt);
  jobs_.erase(id);
}

}  // namespace onebox::schedule
