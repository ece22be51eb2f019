#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/siphash.h"
#include "limits/access_list.h"
#include "limits/rate_limit.h"

namespace onebox::limits {
namespace {

// Among as many clients as the argument says. Hashing the key is a part of it.
void BM_RateLimit(benchmark::State& state) {
  RateLimit limit({.interval = std::chrono::milliseconds(100), .burst = 20, .at_once = 100});
  std::mt19937 random(1);
  Time now{std::chrono::hours(1)};
  for (auto _ : state) {
    const std::uint64_t client = random() % static_cast<std::uint64_t>(state.range(0));
    SipHash hash({1, 2});
    hash.Add({reinterpret_cast<const char*>(&client), sizeof client});
    const std::uint64_t key = hash.Finish();
    const Verdict verdict = limit.Ask(key, now);
    if (verdict.kind == Verdict::Kind::kPass) limit.Leave(key);
    now += std::chrono::microseconds(5);
  }
}
BENCHMARK(BM_RateLimit)->Arg(1)->Arg(1000)->Arg(100'000)->Arg(10'000'000);

void BM_AccessList(benchmark::State& state) {
  std::mt19937 random(1);
  const auto some = [&random] {
    const auto bits = static_cast<std::uint32_t>(random());
    const auto byte = [bits](unsigned shift) { return static_cast<std::uint8_t>(bits >> shift); };
    return http::Address::V4({byte(24), byte(16), byte(8), byte(0)});
  };
  std::vector<http::Network> deny;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    deny.push_back(http::ParseNetwork(http::FormatAddress(some())).value());
  const AccessList list({}, deny);
  for (auto _ : state) {
    benchmark::DoNotOptimize(list.Allows(some()));
  }
}
BENCHMARK(BM_AccessList)->Arg(10)->Arg(1000)->Arg(100'000);

}  // namespace
}  // namespace onebox::limits
