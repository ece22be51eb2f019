// What the store's operations cost in batches of 1, 8 and 64, on the disk under $TMPDIR or /tmp, and
// what that disk takes for a write that it has to keep.
#include <array>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/clock.h"
#include "queue/store.h"
#include "queue/testing.h"

namespace onebox::queue {
namespace {

const std::string& Payload() {
  static const std::string payload(200, 'p');
  return payload;
}

class Bench {
 public:
  explicit Bench(Duration result_keep) : result_keep_(result_keep) {}

  std::vector<NewTask> Tasks(std::size_t count) const {
    return std::vector<NewTask>(count,
                                {.queue = "bulk",
                                 .name = "app.tasks.work",
                                 .payload = Payload(),
                                 .retries = 3,
                                 .result_keep = result_keep_});
  }
  WallTime Now() const { return clock_.WallNow(); }
  Store& store() { return *store_; }

  // As many as there may be in a busy queue, so that the indexes have their depth.
  void Fill(std::size_t count) {
    for (std::size_t done = 0; done < count; done += 1000) {
      CHECK(store_->Enqueue(Tasks(1000), Now()).ok());
    }
  }
  std::vector<Leased> Lease(std::uint32_t count) {
    const WallTime now = Now();
    return store_->Lease("bulk", {.limit = count, .until = now + std::chrono::minutes(1)}, now)
        .value();
  }
  void Acknowledge(const std::vector<Leased>& leased) {
    std::vector<Acknowledgement> done;
    for (const Leased& task : leased) {
      done.push_back({task.held, "null", {}});
    }
    CHECK(store_->Acknowledge(done, Now()).ok());
  }

 private:
  TestFolder folder_;
  os::SystemClock clock_;
  std::unique_ptr<Store> store_ =
      Store::Open(folder_.file(), {.tasks_max = std::uint64_t{1} << 40}).value();
  Duration result_keep_;
};

void CountTasks(benchmark::State& state) {
  state.counters["tasks"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
}

// 4 KiB appended to a file, and what the disk takes to have it: the least that a commit can cost.
void BM_DiskWrite(benchmark::State& state) {
  const TestFolder folder;
  const int file = ::open(folder.file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  off_t end = 0;
  for (auto _ : state) {
    CHECK(::pwrite(file, page.data(), page.size(), end) == 4096 && ::fdatasync(file) == 0);
    end += 4096;
  }
  ::close(file);
}
BENCHMARK(BM_DiskWrite)->UseRealTime();

void BM_Enqueue(benchmark::State& state) {
  Bench bench(std::chrono::hours(1));
  bench.Fill(10'000);
  const auto tasks = bench.Tasks(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    CHECK(bench.store().Enqueue(tasks, bench.Now()).ok());
  }
  CountTasks(state);
}
BENCHMARK(BM_Enqueue)->Arg(1)->Arg(8)->Arg(64)->Arg(512)->UseRealTime();

// Without a wait for the disk.
void BM_LeaseAndRelease(benchmark::State& state) {
  Bench bench(std::chrono::hours(1));
  bench.Fill(100'000);
  for (auto _ : state) {
    std::vector<Held> held;
    for (const Leased& task : bench.Lease(static_cast<std::uint32_t>(state.range(0)))) {
      held.push_back(task.held);
    }
    CHECK(bench.store().Release(held, bench.Now()).ok());
  }
  CountTasks(state);
}
BENCHMARK(BM_LeaseAndRelease)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

// A task's whole way, its end on the disk. With a result that is kept, and without.
void Through(benchmark::State& state, Duration result_keep) {
  Bench bench(result_keep);
  bench.Fill(10'000);
  const auto tasks = bench.Tasks(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    CHECK(bench.store().BeginGroup().ok());
    CHECK(bench.store().Enqueue(tasks, bench.Now()).ok());
    const auto leased = bench.Lease(static_cast<std::uint32_t>(state.range(0)));
    CHECK(bench.store().CommitGroup().ok());
    bench.Acknowledge(leased);
  }
  CountTasks(state);
}
void BM_Through(benchmark::State& state) {
  Through(state, std::chrono::hours(1));
}
void BM_ThroughWithoutResult(benchmark::State& state) {
  Through(state, Duration(0));
}
BENCHMARK(BM_Through)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();
BENCHMARK(BM_ThroughWithoutResult)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

// Lease and acknowledge, as two workers would have it: the next lease in the group of the last ends.
void BM_LeaseAndAcknowledge(benchmark::State& state) {
  Bench bench(Duration(0));
  const auto count = static_cast<std::uint32_t>(state.range(0));
  bench.Fill(300'000);
  auto leased = bench.Lease(count);
  for (auto _ : state) {
    CHECK(bench.store().BeginGroup().ok());
    bench.Acknowledge(leased);
    leased = bench.Lease(count);
    CHECK(leased.size() == count);
    CHECK(bench.store().CommitGroup().ok());
  }
  CountTasks(state);
}
BENCHMARK(BM_LeaseAndAcknowledge)->Arg(1)->Arg(8)->Arg(64)->Iterations(2000)->UseRealTime();

void BM_Figures(benchmark::State& state) {
  Bench bench(std::chrono::hours(1));
  bench.Fill(100'000);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench.store().Figures(bench.Now()).ok());
    benchmark::DoNotOptimize(bench.store().NextDue().ok());
  }
}
BENCHMARK(BM_Figures);

}  // namespace
}  // namespace onebox::queue
