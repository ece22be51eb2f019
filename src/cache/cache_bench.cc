#include "cache/cache.h"

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "os/clock.h"

namespace onebox::cache {
namespace {

constexpr std::size_t kBytes = std::size_t{64} << 20;
constexpr Time kNow{std::chrono::hours(1)};

// A cache with as many entries of that size as are asked for, and their keys as an app would name them.
struct Filled {
  Cache cache = Cache::Create(kBytes).value();
  std::vector<std::string> keys;
  std::string bytes;
  std::size_t next = 0;

  Filled(std::size_t entries, std::size_t size) : bytes(size, 'v') {
    for (std::size_t i = 0; i < entries; ++i) {
      keys.push_back(fmt::format("prices of country {}", i));
      Set(keys.back());
    }
  }
  Key KeyOf(const std::string& key) { return cache.KeyOf(key, "app:prices"); }
  Outcome Set(const std::string& key) {
    return cache.Set(KeyOf(key), {.bytes = bytes}, {}, kNow, Wait::kNot);
  }
  const std::string& NextKey() { return keys[next = (next + 1) % keys.size()]; }
};

void BM_Get(benchmark::State& state) {
  Filled filled(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  Value value;
  for (auto _ : state) {
    if (filled.cache.Get(filled.KeyOf(filled.NextKey()), kNow, Wait::kNot, value) != Answer::kFresh)
      state.SkipWithError("it is not there");
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_Get)->ArgNames({"entries", "bytes"})->Args({100, 100})->Args({100'000, 100});
BENCHMARK(BM_Get)->ArgNames({"entries", "bytes"})->Args({1'000, 5'000})->Args({4, 1 << 20});

// With what a caller does beside: the key's hash alone, and the time.
void BM_KeyOf(benchmark::State& state) {
  Filled filled(100, 100);
  for (auto _ : state)
    benchmark::DoNotOptimize(filled.KeyOf(filled.NextKey()));
}
BENCHMARK(BM_KeyOf);

void BM_Now(benchmark::State& state) {
  const os::SystemClock clock;
  for (auto _ : state)
    benchmark::DoNotOptimize(clock.Now());
}
BENCHMARK(BM_Now);

void BM_GetTagged(benchmark::State& state) {
  Filled filled(0, 100);
  const std::array<TagMark, 2> tags = {filled.cache.MarkOf("app"), filled.cache.MarkOf("prices")};
  const std::string key = "prices of country 1";
  filled.cache.Set(filled.KeyOf(key), {.bytes = filled.bytes, .tags = tags}, {}, kNow, Wait::kNot);
  Value value;
  for (auto _ : state)
    benchmark::DoNotOptimize(filled.cache.Get(filled.KeyOf(key), kNow, Wait::kNot, value));
}
BENCHMARK(BM_GetTagged);

void BM_GetMissing(benchmark::State& state) {
  Filled filled(100'000, 100);
  Value value;
  const std::string key = "not there";
  for (auto _ : state)
    benchmark::DoNotOptimize(filled.cache.Get(filled.KeyOf(key), kNow, Wait::kNot, value));
}
BENCHMARK(BM_GetMissing);

void BM_SetNewAndRemove(benchmark::State& state) {
  Filled filled(1'000, 100);
  const std::string key = "new";
  for (auto _ : state) {
    filled.Set(key);
    filled.cache.Remove(filled.KeyOf(key), {}, kNow, Wait::kNot);
  }
}
BENCHMARK(BM_SetNewAndRemove);

void BM_SetInAnothersPlace(benchmark::State& state) {
  Filled filled(1'000, static_cast<std::size_t>(state.range(0)));
  for (auto _ : state)
    filled.Set(filled.NextKey());
}
BENCHMARK(BM_SetInAnothersPlace)->ArgName("bytes")->Arg(100)->Arg(5'000)->Arg(1 << 18);

// Each for a key that is not there, and another gives way.
void BM_SetWhereOthersGiveWay(benchmark::State& state) {
  Filled filled(500'000, static_cast<std::size_t>(state.range(0)));
  std::uint64_t number = 1'000'000;
  std::string key;
  for (auto _ : state) {
    key = std::to_string(++number);
    filled.Set(key);
  }
}
BENCHMARK(BM_SetWhereOthersGiveWay)->ArgName("bytes")->Arg(100)->Arg(2'000);

void BM_Add(benchmark::State& state) {
  Filled filled(100, 100);
  const std::string zero(sizeof(std::int64_t), '\0');
  const NewValue first{.bytes = zero, .codec = kNumberCodec, .keep = Keep::kUntilItExpires};
  std::int64_t sum = 0;
  const std::string key = "visits";
  for (auto _ : state)
    filled.cache.Add(filled.KeyOf(key), 1, &first, kNow, Wait::kNot, sum);
}
BENCHMARK(BM_Add);

void BM_KeepWhereHalfIsKept(benchmark::State& state) {
  Filled filled(0, 100);
  std::uint64_t number = 0;
  std::string key;
  const NewValue value{.bytes = filled.bytes, .keep = Keep::kUntilItExpires};
  const auto keep = [&] {
    key = std::to_string(++number);
    return filled.cache.Set(filled.KeyOf(key), value, {}, kNow, Wait::kNot);
  };
  for (int full = 0; full < 1'000;)
    full += keep() == Outcome::kFull ? 1 : 0;
  for (auto _ : state)
    keep();
}
BENCHMARK(BM_KeepWhereHalfIsKept);

void BM_GetOrClaim(benchmark::State& state) {
  Filled filled(100, 100);
  Value value;
  for (auto _ : state)
    benchmark::DoNotOptimize(filled.cache.GetOrClaim(
        filled.KeyOf(filled.NextKey()), std::chrono::seconds(10), kNow, Wait::kNot, value));
}
BENCHMARK(BM_GetOrClaim);

void BM_ClaimAndFulfil(benchmark::State& state) {
  Filled filled(100, 100);
  Value value;
  const std::string key = "loaded";
  for (auto _ : state) {
    const auto loading = filled.cache.GetOrClaim(
        filled.KeyOf(key), std::chrono::seconds(10), kNow, Wait::kNot, value);
    filled.cache.Fulfil(
        filled.KeyOf(key), loading.token, {.bytes = filled.bytes}, kNow, Wait::kNot);
    filled.cache.Remove(filled.KeyOf(key), {}, kNow, Wait::kNot);
  }
}
BENCHMARK(BM_ClaimAndFulfil);

void BM_Purge(benchmark::State& state) {
  Filled filled(100, 100);
  for (auto _ : state)
    filled.cache.Purge("prices");
}
BENCHMARK(BM_Purge);

// Threads that want the same lock all the time.
void BM_GetOneKeyTogether(benchmark::State& state) {
  static auto* filled = new Filled(100, 100);
  Value value;
  for (auto _ : state)
    benchmark::DoNotOptimize(
        filled->cache.Get(filled->KeyOf(filled->keys[0]), kNow, Wait::kForOthers, value));
}
BENCHMARK(BM_GetOneKeyTogether)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace onebox::cache
