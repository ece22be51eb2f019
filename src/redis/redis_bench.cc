// Round trips to a real Redis on a unix socket.
#include <atomic>
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "redis/commands.h"
#include "redis/testing.h"
#include "redis/tracking.h"

namespace onebox::redis {
namespace {

const Clock& TheClock() {
  static const os::SystemClock clock;
  return clock;
}

// Shared by the threads of a benchmark; the first makes it, before they all begin.
struct Bench {
  Bench() : link({.address = server.address(), .timeout = testing::kAmple}, TheClock()) {
    CHECK(testing::Eventually([this] { return link.look().state == State::kUp; }));
    CHECK(Set(link, "p:key", std::string(100, 'x'), {}, Only::kAlways).ok());
  }
  const testing::RedisServer server;
  Link link;
};
std::unique_ptr<Bench>& Shared() {
  static std::unique_ptr<Bench> bench;
  return bench;
}
void SetUp(const benchmark::State& /*unused*/) {
  Shared() = std::make_unique<Bench>();
}
void TearDown(const benchmark::State& /*unused*/) {
  Shared().reset();
}

void BM_Get100Bytes(benchmark::State& state) {
  Link& link = Shared()->link;
  for (auto _ : state)
    CHECK(link.Call({"GET", "p:key"}).value().text.size() == 100);
}
BENCHMARK(BM_Get100Bytes)->Setup(SetUp)->Teardown(TearDown)->UseRealTime();
BENCHMARK(BM_Get100Bytes)->Setup(SetUp)->Teardown(TearDown)->UseRealTime()->Threads(4);

void BM_GetWithTimeLeft(benchmark::State& state) {
  for (auto _ : state)
    CHECK(Get(Shared()->link, "p:key").value()->value.size() == 100);
}
BENCHMARK(BM_GetWithTimeLeft)->Setup(SetUp)->Teardown(TearDown)->UseRealTime();

void BM_Increment(benchmark::State& state) {
  for (auto _ : state)
    CHECK(Increment(Shared()->link, "p:count", 1, Initial{}).ok());
}
BENCHMARK(BM_Increment)->Setup(SetUp)->Teardown(TearDown)->UseRealTime();

// While that many boxes track all that is set.
void BM_Set100Bytes(benchmark::State& state) {
  Trust trust;
  std::atomic<std::int64_t> told = 0;
  std::vector<std::unique_ptr<Tracking>> boxes;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    Tracking::Options options;
    options.address = Shared()->server.address();
    options.prefix = "p:";
    options.forget = [&](std::string_view /*unused*/) { ++told; };
    options.forget_all = [] {};
    boxes.push_back(std::make_unique<Tracking>(std::move(options), trust, TheClock()));
    CHECK(testing::Eventually([&] { return boxes.back()->look().state == State::kUp; }));
  }
  const std::string value(100, 'x');
  for (auto _ : state)
    CHECK(Set(Shared()->link, "p:key", value, {}, Only::kAlways).ok());
  state.counters["told"] =
      benchmark::Counter(static_cast<double>(told) / static_cast<double>(state.iterations()));
}
BENCHMARK(BM_Set100Bytes)->Setup(SetUp)->Teardown(TearDown)->UseRealTime()->Arg(0)->Arg(1)->Arg(4);

void BM_Holds(benchmark::State& state) {
  Trust trust;
  trust.Raise();
  trust.ExtendTo(testing::In(testing::kAmple));
  const Time now = TheClock().Now();
  for (auto _ : state)
    benchmark::DoNotOptimize(trust.Holds(1, now));
}
BENCHMARK(BM_Holds);

}  // namespace
}  // namespace onebox::redis
