// What 10,000 jobs cost: to wait, to fire, to be opened, in time and memory. The file is under $TMPDIR or
// /tmp.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include "schedule/jobs_testing.h"

namespace onebox::schedule {
namespace {

constexpr std::size_t kJobs = 10'000;
const WallTime kYear = Utc("2026-01-01 00:00");

// Each hour, spread over its minutes and, by their jitter, over ten more.
std::vector<JobSpec> ManyJobs() {
  std::vector<JobSpec> jobs;
  for (std::size_t i = 0; i < kJobs; ++i) {
    JobSpec spec = Job(fmt::format("app.jobs.work_{}", i), "");
    spec.kind = TriggerKind::kCron;
    spec.text = fmt::format("{} * * * *", i % 60);
    spec.zone = "Europe/Berlin";
    spec.jitter = std::chrono::minutes(10);
    spec.overlap = Overlap::kParallel;
    jobs.push_back(std::move(spec));
  }
  return jobs;
}

std::size_t HeapBytes() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// A turn in which nothing is due.
void BM_Idle(benchmark::State& state) {
  TestBox box;
  box.Declare(ManyJobs(), kYear);
  for (auto _ : state)
    benchmark::DoNotOptimize(box.jobs().NextDue());
}
BENCHMARK(BM_Idle);

// From NextDue() to the end of the run, `range(0)` firings at most in a turn. An item is a firing.
void BM_Fire(benchmark::State& state) {
  TestBox box;
  box.Declare(ManyJobs(), kYear);
  const auto limit = static_cast<std::uint32_t>(state.range(0));
  std::int64_t fired = 0;
  WallTime now = kYear;
  for (auto _ : state) {
    // One is due, and about as many as a turn takes.
    now = *box.jobs().NextDue() + std::chrono::milliseconds(360) * (state.range(0) - 1);
    const auto due = box.jobs().TakeDue(now, limit).value();
    std::vector<Jobs::Confirmation> confirmed;
    for (const Firing& firing : due) {
      confirmed.push_back({firing.fence, firing.fence});
    }
    CHECK(box.jobs().Enqueued(confirmed).ok());
    state.PauseTiming();
    for (const auto& one : confirmed) {
      CHECK(box.jobs().Ended(one.run, RunState::kDone, "", now).ok());
    }
    state.ResumeTiming();
    fired += static_cast<std::int64_t>(due.size());
  }
  state.SetItemsProcessed(fired);
}
BENCHMARK(BM_Fire)->Arg(1)->Arg(100);

// Begin and end of one run.
void BM_BeginAndEnd(benchmark::State& state) {
  TestBox box;
  box.Declare({Job("a", "1 second", Overlap::kParallel)}, kYear);
  WallTime now = kYear;
  for (auto _ : state) {
    state.PauseTiming();
    now += std::chrono::seconds(1);
    const auto due = box.jobs().TakeDue(now, 1).value();
    const Jobs::Confirmation confirmed{due.at(0).fence, due.at(0).fence};
    CHECK(box.jobs().Enqueued({&confirmed, 1}).ok());
    state.ResumeTiming();
    CHECK(box.jobs().Begun(confirmed.run, 1, now).ok());
    CHECK(box.jobs().Ended(confirmed.run, RunState::kDone, "", now).ok());
  }
}
BENCHMARK(BM_BeginAndEnd);

// The same declaration as before, as each worker makes it.
void BM_DeclareAgain(benchmark::State& state) {
  TestBox box;
  const auto jobs = ManyJobs();
  box.Declare(jobs, kYear);
  for (auto _ : state)
    box.Declare(jobs, kYear);
}
BENCHMARK(BM_DeclareAgain)->Unit(benchmark::kMillisecond);

void BM_Open(benchmark::State& state) {
  TestBox box;
  box.Declare(ManyJobs(), kYear);
  for (auto _ : state)
    box.Reopen();
}
BENCHMARK(BM_Open)->Unit(benchmark::kMillisecond);

void BM_Memory(benchmark::State& state) {
  const auto jobs = ManyJobs();
  std::size_t bytes = 0;
  for (auto _ : state) {
    TestBox box;
    box.Declare({}, kYear);
    const std::size_t empty = HeapBytes();
    box.Declare(jobs, kYear);
    box.Reopen();
    bytes = HeapBytes() - empty;
  }
  state.counters["bytes_per_job"] = static_cast<double>(bytes) / static_cast<double>(kJobs);
}
BENCHMARK(BM_Memory)->Iterations(1);

}  // namespace
}  // namespace onebox::schedule
