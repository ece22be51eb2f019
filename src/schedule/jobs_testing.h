#pragma once
// A box's jobs for tests: their file, and a queue that is no more than a table of keys.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "schedule/jobs.h"
#include "schedule/names.h"
#include "schedule/testing.h"
#include "sqlite/testing.h"

namespace onebox::schedule {

inline JobSpec Job(std::string name, std::string every, Overlap overlap = Overlap::kSkip) {
  return {.name = std::move(name),
          .kind = TriggerKind::kEvery,
          .text = std::move(every),
          .zone = "UTC",
          .overlap = overlap,
          .what = "app:work"};
}

// "2026-03-29 01:00:00"
inline std::string UtcOf(WallTime time) {
  return date::format("%F %T", std::chrono::floor<std::chrono::seconds>(time));
}

// The durable queue as far as jobs see it: one task for each key, until its key is forgotten.
class TestQueue final {
 public:
  RunId Enqueue(const std::string& key) {
    const auto [found, added] = keys_.emplace(key, next_);
    if (added) {
      ++tasks_[key];
      ++next_;
    }
    return found->second;
  }
  // A task that is not done at its end: its key is forgotten.
  void Fail(RunId run) {
    failed_.insert(run);
    for (auto at = keys_.begin(); at != keys_.end(); ++at) {
      if (at->second != run) continue;
      keys_.erase(at);
      return;
    }
  }
  bool HasFailed(RunId run) const { return failed_.count(run) > 0; }
  const std::map<std::string, int>& tasks() const { return tasks_; }  // by key, how many there were

 private:
  std::map<std::string, RunId> keys_;
  std::map<std::string, int> tasks_;
  std::set<RunId> failed_;
  RunId next_ = 1;
};

class TestBox final {
 public:
  explicit TestBox(JobLimits limits = {}) : limits_(limits) { Reopen(); }

  Jobs& jobs() { return *jobs_; }
  TestQueue& queue() { return queue_; }
  const std::string& path() const { return path_; }
  const sqlite::TestFolder& folder() const { return folder_; }

  void Reopen() {
    jobs_.reset();
    jobs_ = Jobs::Open(path_, limits_).value();
  }
  // As `kill -9` leaves it. What was opened before is not closed until the other is open.
  void Kill() {
    const std::string left = fmt::format("{}/{}.db", folder_.path().string(), ++copies_);
    sqlite::CopyStore(path_, left);
    path_ = left;
    jobs_ = Jobs::Open(path_, limits_).value();
  }
  // What `write` made of the file as it would be after a loss of power.
  template <typename Write>
  void Replace(const Write& write) {
    const std::string left = fmt::format("{}/{}.db", folder_.path().string(), ++copies_);
    write(path_, left);
    path_ = left;
    jobs_ = Jobs::Open(path_, limits_).value();
  }

  std::vector<Jobs::Refusal> Declare(const std::vector<JobSpec>& jobs,
                                     WallTime now,
                                     Source source = Source::kApp) {
    return jobs_->Declare(source, 1, jobs, now).value().refused;
  }
  std::vector<Firing> Take(WallTime now) { return jobs_->TakeDue(now, 1000).value(); }
  // Into the queue, and confirmed. Gives the runs.
  std::vector<RunId> Enqueue(const std::vector<Firing>& firings) {
    std::vector<RunId> runs;
    std::vector<Jobs::Confirmation> confirmed;
    for (const Firing& firing : firings) {
      runs.push_back(queue_.Enqueue(firing.key));
      confirmed.push_back({firing.fence, runs.back()});
    }
    CHECK(jobs_->Enqueued(confirmed).ok());
    return runs;
  }
  std::vector<RunId> Run(WallTime now) { return Enqueue(Take(now)); }
  void End(RunId run, WallTime now, RunState state = RunState::kDone) {
    CHECK(jobs_->Ended(run, state, "", now).ok());
    if (state != RunState::kDone) queue_.Fail(run);
  }

  JobStatus StatusOf(std::string_view name) {
    auto list = jobs_->List("", 100'000).value();
    for (JobStatus& status : list) {
      if (status.job->name == name) return status;
    }
    CHECK(false);
    return {};
  }
  // The newest line first: "missed 3 00:01:00-00:03:00", "done 1 00:04:00".
  std::vector<std::string> History(std::string_view job = "") {
    std::vector<std::string> lines;
    const auto history = jobs_->History(job, 1000).value();
    for (const JobRun& run : history) {
      lines.push_back(fmt::format(
          "{} {} {}", NameIn(kRunStateNames, run.state), run.count, TimeOf(run.firing)));
      if (run.last != run.firing) lines.back() += '-' + TimeOf(run.last);
    }
    return lines;
  }
  static std::vector<std::string> TimesOf(const std::vector<Firing>& firings) {
    std::vector<std::string> times;
    for (const Firing& firing : firings) {
      times.push_back(TimeOf(firing.time));
    }
    return times;
  }

 private:
  static std::string TimeOf(WallTime time) { return UtcOf(time).substr(11); }

  sqlite::TestFolder folder_;
  std::string path_ = folder_.file();
  JobLimits limits_;
  TestQueue queue_;
  int copies_ = 0;
  std::unique_ptr<Jobs> jobs_;
};

}  // namespace onebox::schedule
