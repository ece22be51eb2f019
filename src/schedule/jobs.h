#pragma once
// Jobs: the jobs of a box, which of their firings are due, and what became of them, in one file.

#include <cstdint>
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

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "schedule/agenda.h"
#include "schedule/job.h"
#include "schedule/job_state.h"
#include "schedule/jobs_statements.h"
#include "schedule/overlap.h"
#include "sqlite/file.h"

namespace onebox::schedule {

struct JobLimits {
  std::uint32_t jobs_max = 10'000;                     // with those that were removed and are kept
  std::uint32_t history_max = 100;                     // lines of one job that have ended
  std::uint32_t tracebacks_max = 10;                   // the newest of them that keep theirs
  std::size_t traceback_bytes_max = 16 << 10;          // its end is kept
  Duration removed_keep = std::chrono::hours(24 * 7);  // a removed job's history
  std::uint64_t file_bytes_max = std::uint64_t{4} << 30;  // of the file itself
  std::uint64_t log_bytes = 4 << 20;                      // of the log beside it, or a little more
};

// Belongs to one thread of one process; a second opener is refused. It has no clock: `now` is the
// caller's, and within one process it never goes back. Between two processes it may: what was handled
// stays handled, so nothing fires twice, and what has become due is caught up with.
//
// A firing goes from here into the durable queue, which is another file. So it is given out until it
// is known to be there:
//
//   TakeDue()     It is pending, on the disk. This process does not give it out again.
//   the caller    enqueues a task with Firing::key as its dedupe key, and waits for the disk.
//   Enqueued()    It is a run, on the disk. It is never given out again.
//
// A process that dies in between leaves it pending: the next one gives it out first, whatever the
// clock says, and the queue gives back the task that it has. The same holds where the machine loses
// its power, since each step is on the disk before the next begins. So no firing is lost, and none
// makes two tasks while the queue has its key: it forgets the key of a task that fails for good, and
// therefore a caller takes what is due before it leases tasks of jobs to anybody.
//
// All else is with the kernel when a call returns, and does not wait for the disk: firings that are
// skipped or missed, since a loss of power takes back the decision together with its line in the
// history, and it is made again; begins and ends of runs, since RunsLeft() asks for them again.
// See docs/decisions/0022-what-a-firing-waits-for.md.
//
// At its start the caller asks the queue what has become of RunsLeft(), declares what the
// configuration has, and then takes what is due.
//
// An operation is done as a whole, or gives an Error and has done nothing: the disk is full, cannot be
// written, or another program is in the way. Then a moment should pass before the next try.
class Jobs final {
 public:
  // Reads the whole file once, to see that it is not damaged; sqlite/file.h says what is refused.
  static Result<std::unique_ptr<Jobs>> Open(const std::string& path, const JobLimits& limits);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // --- which jobs there are

  struct Refusal {
    std::string job;
    std::string error;  // a sentence
  };
  struct Declared {
    bool older = false;            // a newer generation has declared its jobs: nothing was done
    std::vector<Refusal> refused;  // a job of that name that was there stays as it was
  };
  // All jobs that `source` has from now on; those it had before and does not name are removed. A new
  // job fires from `now` on, and likewise one with another trigger or time zone. Generations are
  // compared within this process. A name that both sources have is kConfig's.
  Result<Declared> Declare(Source source,
                           std::uint64_t generation,
                           std::span<const JobSpec> jobs,
                           WallTime now);

  // --- their firings

  // Up to `limit`, at least 1, that are to be enqueued now. Fewer, or none: NextDue() says when to
  // ask again, and it may be at once.
  Result<std::vector<Firing>> TakeDue(WallTime now, std::uint32_t limit);
  // When there is something to take; it may have passed. Costs nothing.
  std::optional<WallTime> NextDue() const { return agenda_.First(); }

  struct Confirmation {
    std::int64_t fence = 0;  // Firing::fence
    RunId run = kNoRun;
  };
  // Another box fires: what has begun by `until` is its business, and is handled here without a line.
  // Up to `limit` jobs.
  Status LeaveToAnother(WallTime until, std::uint32_t limit);
  // These tasks are in the queue, on its disk. Where it had one already (kDeduped), that may have
  // ended: the caller asks, and says Ended(). Firings that are not given out are passed over.
  Status Enqueued(std::span<const Confirmation> confirmed);
  // The queue does not take it: it is given out again in a second, then later, up to a minute. A manual
  // one is dropped, since who asked for it is told.
  Status Refused(std::int64_t fence, WallTime now);

  // --- their runs

  // What is said of a run that is not known, or has ended, is passed over: all this may be said twice.
  Status Begun(RunId run, std::int64_t worker, WallTime now);
  // `state` is one of kDone to kCancelled.
  Status Ended(RunId run, RunState state, std::string_view traceback, WallTime now);
  // Those that have not ended as far as this file knows.
  std::vector<RunId> RunsLeft() const;
  bool IsLeft(RunId run) const { return unended_.contains(run); }

  // --- what people do

  // A firing by hand, given out: to be enqueued as those of TakeDue(). Paused jobs too. An Error where
  // its overlap is kSkip or kQueue and a run has not ended.
  Result<Firing> RunNow(std::string_view job, WallTime now);
  // A paused job does not fire; its firings that wait for a run to end are told as skipped. What it
  // misses from then on follows its rule for that when it is resumed. To resume also helps a job that has
  // handled a time which is yet to come, since the clock was wrong: it fires from `now` on.
  Status Pause(std::string_view job, WallTime now);
  Status Resume(std::string_view job, WallTime now);

  // --- what people ask

  // Up to `limit` in the order of their names, from the first after `after`.
  Result<std::vector<JobStatus>> List(std::string_view after, std::uint32_t limit);
  // The newest first; of all jobs where `job` is empty.
  Result<std::vector<JobRun>> History(std::string_view job, std::uint32_t limit);

  // Removes what jobs that were removed have left, and history beyond the limit: up to `limit` lines.
  // Gives how many; fewer than the limit: there are no more.
  Result<std::uint32_t> Sweep(std::uint32_t limit, WallTime now);

 private:
  // Jobs as a transaction leaves them; nothing of it is seen before it is committed.
  struct Draft {
    std::unordered_map<std::int64_t, JobState> jobs;
    std::int64_t next_fence = 0;
  };

  Jobs(const JobLimits& limits, sqlite::File file, Statements statements);

  // jobs.cc: the file, transactions
  Status Load();
  Status LoadJobs();
  Status LoadFirings();
  Status LoadRuns();
  // Runs `work` on a draft in one transaction, and takes the draft over.
  template <typename Work>
  auto Within(Durability durability, const Work& work) -> decltype(work(std::declval<Draft&>())) {
    TRY(database_->Begin(durability));
    Draft draft{{}, next_fence_};
    auto made = work(draft);
    Status committed = made.ok() ? database_->Commit() : Done();
    if (!made.ok() || !committed.ok()) database_->Rollback();
    if (!made.ok()) return made;
    if (!committed.ok()) return std::move(committed).error();
    Accept(std::move(draft));
    return made;
  }
  void Accept(Draft&& draft);
  static JobState& Drafted(Draft& draft, const JobState& job);
  Status Mark(const JobState& job);
  JobState* FindLive(std::string_view name);
  Result<JobState*> Named(std::string_view name);
  JobState* Of(std::int64_t id);

  // jobs_declare.cc
  std::optional<std::string> WhyNotNow(Source source, const JobSpec& spec) const;
  Status DeclareOne(Draft& draft, Source source, const JobSpec& spec, WallTime now);
  Status Add(Draft& draft, Source source, const JobSpec& spec, WallTime now);
  Status Remove(Draft& draft, const JobState& job, WallTime now);

  // jobs_due.cc
  struct Verdict {
    JobState* job = nullptr;
    Decision decision;
  };
  std::vector<Verdict> DecideDue(std::span<const std::int64_t> due, WallTime now);
  Status Write(std::span<const Verdict> verdicts, WallTime now);
  Status WriteOne(Draft& draft, const Verdict& verdict, WallTime now);
  Status PassOverWaiting(JobState& job, WallTime now);
  Status AddPending(Draft& draft, JobState& job, WallTime firing, bool manual);
  Firing Take(JobState& job, Pending& pending);
  Status ConfirmOne(Draft& draft, const Confirmation& confirmed);

  // jobs_history.cc
  Status Tell(JobState& job, RunState state, const Told& told, WallTime now);
  Result<std::int64_t> AddRun(JobState& job, const JobRun& run);
  Result<std::uint32_t> DropBeyondLimit(JobState& job, std::uint32_t limit);
  Result<std::uint32_t> DropOldest(JobState& job, std::uint32_t limit);
  Result<std::vector<JobRun>> RunsIn(Rows rows);
  Result<std::uint32_t> SweepJob(std::int64_t id, std::uint32_t limit, WallTime now);
  void Forget(std::int64_t id);

  const JobLimits limits_;
  os::Fd lock_;
  std::unique_ptr<Database> database_;
  Statements statements_;  // of the database, which outlives them
  std::unordered_map<std::int64_t, JobState> jobs_;
  std::map<std::string, std::int64_t, std::less<>> names_;
  Agenda agenda_;
  std::unordered_map<std::int64_t, std::int64_t> taken_;  // fence -> job
  std::unordered_map<RunId, std::int64_t> unended_;       // -> job
  std::set<std::pair<WallTime, std::int64_t>> removed_;   // when, which
  std::set<std::int64_t> overfull_;  // jobs with more history than the limit, which was higher
  std::map<Source, std::uint64_t> generations_;
  std::int64_t next_fence_ = 1;
};

}  // namespace onebox::schedule
