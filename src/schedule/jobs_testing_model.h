#pragma once
// What Jobs promise, written as plainly as can be: all firings are counted one by one.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "schedule/jobs_testing.h"

namespace onebox::schedule {

class Model final {
 public:
  struct Waiting {
    WallTime firing{};
    bool manual = false;
    bool taken = false;
    std::int64_t fence = 0;  // once it was given out
  };
  struct Entry {
    JobSpec spec;
    Source source = Source::kApp;
    WallTime handled{};
    bool paused = false;
    std::optional<WallTime> removed;
    std::uint64_t missed = 0, skipped = 0;
    std::vector<Waiting> pending;
    std::map<RunId, bool> runs;  // whether it has begun
    int refusals = 0;
    WallTime retry_at{};
  };

  std::map<std::string, Entry>& jobs() { return jobs_; }

  void Reopened() {
    for (auto& [name, job] : jobs_) {
      for (Waiting& one : job.pending) {
        one.taken = false;
      }
      job.refusals = 0;
      job.retry_at = {};
    }
  }

  void Declare(Source source, const std::vector<JobSpec>& specs, WallTime now) {
    for (auto& [name, job] : jobs_) {
      const auto named = [&, &known = name](const JobSpec& spec) { return spec.name == known; };
      if (job.removed || job.source != source) continue;
      if (std::any_of(specs.begin(), specs.end(), named)) continue;
      job.removed = now;
      PassOver(job);
    }
    for (const JobSpec& spec : specs) {
      const auto [found, added] = jobs_.try_emplace(spec.name);
      Entry& job = found->second;
      if (added) job.handled = now;
      if (!added && !job.removed && job.source == Source::kConfig && source == Source::kApp)
        continue;
      const bool fresh = job.removed || job.spec.kind != spec.kind || job.spec.text != spec.text;
      if (!added && fresh) job.handled = std::max(job.handled, now);
      job.spec = spec;
      job.source = source;
      job.removed.reset();
    }
  }

  // Gives what is to be given out, each with its job.
  std::vector<std::pair<std::string, Waiting*>> TakeDue(WallTime now) {
    std::vector<std::pair<std::string, Waiting*>> due;
    for (auto& [name, job] : jobs_) {
      Decide(job, now);
      if (job.retry_at > now) continue;
      while (Waiting* const one = Next(job)) {
        one->taken = true;
        due.emplace_back(name, one);
      }
    }
    return due;
  }

  void Pause(Entry& job) {
    job.paused = true;
    PassOver(job);
  }

  bool RunsAlone(const Entry& job) const {
    return job.spec.overlap == Overlap::kSkip || job.spec.overlap == Overlap::kQueue;
  }

  std::pair<Entry*, std::size_t> Find(std::int64_t fence) {
    for (auto& [name, job] : jobs_) {
      for (std::size_t i = 0; i < job.pending.size(); ++i) {
        if (job.pending[i].fence == fence) return {&job, i};
      }
    }
    return {nullptr, 0};
  }

  void Enqueued(std::int64_t fence, RunId run) {
    const auto [job, index] = Find(fence);
    CHECK(job != nullptr);
    job->pending.erase(job->pending.begin() + static_cast<std::ptrdiff_t>(index));
    job->runs[run] = false;
    job->refusals = 0;
    job->retry_at = {};
  }

  void Refused(std::int64_t fence, WallTime now) {
    const auto [job, index] = Find(fence);
    CHECK(job != nullptr);
    if (job->pending[index].manual || job->removed) {
      job->pending.erase(job->pending.begin() + static_cast<std::ptrdiff_t>(index));
      return;
    }
    job->pending[index].taken = false;
    job->retry_at = now + std::chrono::seconds(std::min(60, 1 << std::min(job->refusals++, 6)));
  }

  Entry* OfRun(RunId run) {
    for (auto& [name, job] : jobs_) {
      if (job.runs.count(run) > 0) return &job;
    }
    return nullptr;
  }

  void Swept(Duration keep, WallTime now) {
    std::erase_if(jobs_, [&](const auto& named) {
      const Entry& job = named.second;
      return job.removed && *job.removed + keep <= now && job.pending.empty() && job.runs.empty();
    });
  }

  std::string Dump() const {
    std::string dump;
    std::vector<RunId> left;
    for (const auto& [name, job] : jobs_) {
      for (const auto& [run, begun] : job.runs) {
        left.push_back(run);
      }
      if (job.removed) continue;
      const auto running = std::count_if(
          job.runs.begin(), job.runs.end(), [](const auto& run) { return run.second; });
      dump += Line(job.spec, job.source, NextOf(job));
      dump += fmt::format(" paused {} pending {} waiting {} running {} missed {} skipped {}\n",
                          job.paused,
                          job.pending.size(),
                          job.runs.size() - static_cast<std::size_t>(running),
                          running,
                          job.missed,
                          job.skipped);
    }
    std::sort(left.begin(), left.end());
    return dump + fmt::format("{}", fmt::join(left, " "));
  }

  static std::string DumpOf(Jobs& jobs) {
    std::string dump;
    const auto list = jobs.List("", 1000).value();
    for (const JobStatus& job : list) {
      dump += Line(*job.job, job.source, job.next);
      dump += fmt::format(" paused {} pending {} waiting {} running {} missed {} skipped {}\n",
                          job.paused,
                          job.pending,
                          job.waiting,
                          job.running,
                          job.missed_total,
                          job.skipped_total);
    }
    return dump + fmt::format("{}", fmt::join(jobs.RunsLeft(), " "));
  }

 private:
  static std::string Line(const JobSpec& job, Source source, std::optional<WallTime> next) {
    return fmt::format("{} {} {} overlap {} next {}",
                       job.name,
                       static_cast<int>(source),
                       job.text,
                       static_cast<int>(job.overlap),
                       next ? next->time_since_epoch().count() : 0);
  }

  static Trigger TriggerOf(const Entry& job) {
    return Read(job.spec.kind, job.spec.text, job.spec.zone);
  }

  static std::optional<WallTime> NextOf(const Entry& job) {
    const Trigger trigger = TriggerOf(job);
    const auto next = NextAfter(trigger, job.handled);
    if (!next) return std::nullopt;
    return *next + JitterOf(trigger, job.spec.name, *next, job.spec.jitter);
  }

  static void PassOver(Entry& job) {
    job.skipped += std::erase_if(job.pending, [](const Waiting& one) { return !one.taken; });
  }

  static void Decide(Entry& job, WallTime now) {
    if (job.removed || job.paused) return;
    const Trigger trigger = TriggerOf(job);
    const auto begin = [&](WallTime firing) {
      return firing + JitterOf(trigger, job.spec.name, firing, job.spec.jitter);
    };
    std::vector<WallTime> due;
    for (auto at = NextAfter(trigger, job.handled); at && begin(*at) <= now;
         at = NextAfter(trigger, *at)) {
      due.push_back(*at);
    }
    if (due.empty()) return;
    job.handled = due.back();
    std::size_t kept = 1;
    if (job.spec.catch_up.which == CatchUp::kAll) kept = job.spec.catch_up.all_max;
    const bool late = now - begin(due.back()) >= job.spec.catch_up.late;
    if (job.spec.catch_up.which == CatchUp::kNone && late) kept = 0;
    while (due.size() > kept) {
      due.erase(due.begin());
      ++job.missed;
    }
    if (job.spec.overlap == Overlap::kReplace && !due.empty()) {
      PassOver(job);
      job.skipped += due.size() - 1;
      due.erase(due.begin(), due.end() - 1);
    }
    for (const WallTime firing : due) {
      const std::size_t unended = job.pending.size() + job.runs.size();
      const bool skips = job.spec.overlap == Overlap::kSkip;
      // What comes due at once is queued, also by kSkip: it passes over what meets an older one.
      if (skips && unended > 0 &&
          (job.pending.empty() || job.pending.back().firing < due.front())) {
        ++job.skipped;
      } else if (unended > kQueuedMax) {
        ++job.missed;
      } else {
        job.pending.push_back({.firing = firing});
      }
    }
  }

  Waiting* Next(Entry& job) const {
    const bool parallel = job.spec.overlap == Overlap::kParallel;
    if (RunsAlone(job) && !job.runs.empty()) return nullptr;
    for (const Waiting& one : job.pending) {
      if (one.taken && !parallel) return nullptr;
    }
    for (Waiting& one : job.pending) {
      if (!one.taken) return &one;
    }
    return nullptr;
  }

  std::map<std::string, Entry> jobs_;
};

}  // namespace onebox::schedule
