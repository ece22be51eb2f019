#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "schedule/jobs.h"
#include "schedule/wording.h"

namespace onebox::schedule {
namespace {

constexpr Duration kRetryFirst = std::chrono::seconds(1);
constexpr Duration kRetryMax = std::chrono::minutes(1);
constexpr std::uint32_t kRetryDoublings = 6;  // more than from the first to the longest

// A name may have colons and digits. Between two keys of one kind the last parts differ, and the
// kinds differ in the first.
std::string KeyOf(const std::string& job, const Pending& pending) {
  const auto time = pending.firing.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time).count();
  if (!pending.manual) return fmt::format("job:{}:{}", job, seconds);
  return fmt::format("run:{}:{}:{}", job, seconds, pending.fence);
}

// The runs and firings of a job that a new firing meets.
std::size_t UnendedOf(const JobState& job) {
  const auto counts = [&](const Pending& one) {
    return one.taken || job.spec().overlap != Overlap::kReplace;
  };
  return job.unended.size() +
         static_cast<std::size_t>(std::count_if(job.pending.begin(), job.pending.end(), counts));
}

}  // namespace

// --- what is due

Result<std::vector<Firing>> Jobs::TakeDue(WallTime now, std::uint32_t limit) {
  CHECK(limit > 0);
  const std::vector<std::int64_t> due = agenda_.Due(now, limit);
  const std::vector<Verdict> verdicts = DecideDue(due, now);
  TRY(Write(verdicts, now));
  std::vector<Firing> firings;
  for (const std::int64_t id : due) {
    JobState& job = *Of(id);
    while (firings.size() < limit && job.retry_at <= now) {
      Pending* const pending = job.Startable();
      if (pending == nullptr) break;
      firings.push_back(Take(job, *pending));
    }
    agenda_.Set(id, job.WakeAt());
  }
  return firings;
}

std::vector<Jobs::Verdict> Jobs::DecideDue(std::span<const std::int64_t> due, WallTime now) {
  std::vector<Verdict> verdicts;
  for (const std::int64_t id : due) {
    JobState& job = *Of(id);
    if (!job.fires() || !job.next || *job.next > now) continue;
    auto decision = Decide(*job.definition->trigger, job.spec(), job.handled, UnendedOf(job), now);
    CHECK(decision.handled.has_value());
    verdicts.push_back({&job, std::move(decision)});
  }
  return verdicts;
}

Status Jobs::Write(std::span<const Verdict> verdicts, WallTime now) {
  if (verdicts.empty()) return Done();
  const bool any_run = std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& verdict) {
    return !verdict.decision.run.empty();
  });
  return Within(any_run ? Durability::kDisk : Durability::kKernel, [&](Draft& draft) -> Status {
    for (const Verdict& verdict : verdicts) {
      TRY(WriteOne(draft, verdict, now));
    }
    if (!any_run) return Done();
    return statements_.reserve_fence.Run(draft.next_fence);
  });
}

Status Jobs::LeaveToAnother(WallTime until, std::uint32_t limit) {
  const std::vector<Verdict> verdicts = DecideDue(agenda_.Due(until, limit), until);
  if (verdicts.empty()) return Done();
  const auto write = [&](Draft& draft) -> Status {
    for (const Verdict& verdict : verdicts) {
      JobState& job = Drafted(draft, *verdict.job);
      job.handled = *verdict.decision.handled;
      job.Aim();
      TRY(Mark(job));
    }
    return Done();
  };
  TRY(Within(Durability::kKernel, write));
  for (const Verdict& verdict : verdicts)
    agenda_.Set(verdict.job->id, verdict.job->WakeAt());
  return Done();
}

Status Jobs::WriteOne(Draft& draft, const Verdict& verdict, WallTime now) {
  JobState& job = Drafted(draft, *verdict.job);
  const Decision& decision = verdict.decision;
  if (job.spec().overlap == Overlap::kReplace && !decision.run.empty())
    TRY(PassOverWaiting(job, now));
  job.handled = *decision.handled;
  TRY(Tell(job, RunState::kMissed, decision.missed, now));
  TRY(Tell(job, RunState::kSkipped, decision.skipped, now));
  for (const WallTime firing : decision.run) {
    TRY(AddPending(draft, job, firing, false));
  }
  job.Aim();
  return Mark(job);
}

// Its firings that are not given out.
Status Jobs::PassOverWaiting(JobState& job, WallTime now) {
  Told skipped;
  std::vector<Pending> left;
  for (const Pending& one : job.pending) {
    if (one.taken) {
      left.push_back(one);
      continue;
    }
    skipped.Add(1, one.firing, one.firing);
    TRY(statements_.drop_pending.Run(one.fence));
  }
  job.pending = std::move(left);
  return Tell(job, RunState::kSkipped, skipped, now);
}

Status Jobs::AddPending(Draft& draft, JobState& job, WallTime firing, bool manual) {
  const std::int64_t fence = draft.next_fence++;
  job.pending.push_back({.fence = fence, .firing = firing, .manual = manual});
  return statements_.add_pending.Run(fence, job.id, firing, manual);
}

Firing Jobs::Take(JobState& job, Pending& pending) {
  pending.taken = true;
  taken_[pending.fence] = job.id;
  Firing firing;
  firing.job = std::shared_ptr<const JobSpec>(job.definition, &job.definition->spec);
  firing.time = pending.firing;
  firing.fence = pending.fence;
  firing.manual = pending.manual;
  firing.key = KeyOf(job.spec().name, pending);
  if (job.spec().overlap == Overlap::kReplace) {
    for (const Unended& run : job.unended) {
      firing.replaces.push_back(run.run);
    }
  }
  return firing;
}

Result<Firing> Jobs::RunNow(std::string_view job, WallTime now) {
  JobState* const found = TRY(Named(job));
  const Overlap overlap = found->spec().overlap;
  const bool alone = overlap == Overlap::kSkip || overlap == Overlap::kQueue;
  const std::size_t unended = UnendedOf(*found);
  if (alone && unended > 0) {
    return Error{Blame::kClient,
                 Retry::kYes,
                 0,
                 fmt::format("the job {} waits or runs, and its overlap lets it run once at a time",
                             Quoted(job))};
  }
  if (unended > kQueuedMax) {
    return Error{Blame::kClient,
                 Retry::kYes,
                 0,
                 fmt::format("{} runs of the job {} have not ended", unended, Quoted(job))};
  }
  const auto write = [&](Draft& draft) -> Status {
    TRY(AddPending(draft, Drafted(draft, *found), now, true));
    return statements_.reserve_fence.Run(draft.next_fence);
  };
  TRY(Within(Durability::kDisk, write));
  Firing firing = Take(*found, found->pending.back());
  agenda_.Set(found->id, found->WakeAt());
  return firing;
}

// --- what has become of it

Status Jobs::Enqueued(std::span<const Confirmation> confirmed) {
  if (confirmed.empty()) return Done();
  const auto write = [&](Draft& draft) -> Status {
    for (const Confirmation& one : confirmed) {
      TRY(ConfirmOne(draft, one));
    }
    return Done();
  };
  TRY(Within(Durability::kDisk, write));
  for (const Confirmation& one : confirmed) {
    const auto taken = taken_.find(one.fence);
    if (taken == taken_.end()) continue;
    unended_.emplace(one.run, taken->second);
    taken_.erase(taken);
  }
  return Done();
}

Status Jobs::ConfirmOne(Draft& draft, const Confirmation& confirmed) {
  const auto taken = taken_.find(confirmed.fence);
  if (taken == taken_.end()) return Done();
  JobState& job = Drafted(draft, *Of(taken->second));
  Pending* const pending = job.FindPending(confirmed.fence);
  if (pending == nullptr) return Done();  // said twice in one call
  JobRun run;
  run.run = confirmed.run;
  run.firing = run.last = pending->firing;
  run.fence = pending->fence;
  run.manual = pending->manual;
  TRY(statements_.drop_pending.Run(confirmed.fence));
  job.pending.erase(job.pending.begin() + (pending - job.pending.data()));
  job.unended.push_back({.run = run.run});
  job.unended.back().row = TRY(AddRun(job, run));
  job.refusals = 0;
  job.retry_at = {};
  return Done();
}

Status Jobs::Refused(std::int64_t fence, WallTime now) {
  const auto taken = taken_.find(fence);
  if (taken == taken_.end()) return Done();
  JobState& job = *Of(taken->second);
  if (job.FindPending(fence)->manual || !job.live()) {
    const auto write = [&](Draft& draft) -> Status {
      JobState& changed = Drafted(draft, job);
      changed.pending.erase(changed.pending.begin() +
                            (changed.FindPending(fence) - changed.pending.data()));
      return statements_.drop_pending.Run(fence);
    };
    TRY(Within(Durability::kKernel, write));
  } else {
    job.FindPending(fence)->taken = false;
    const std::uint32_t doublings = std::min(job.refusals++, kRetryDoublings);
    job.retry_at = now + std::min(kRetryMax, kRetryFirst * (1U << doublings));
  }
  taken_.erase(fence);
  agenda_.Set(job.id, job.WakeAt());
  return Done();
}

}  // namespace onebox::schedule
