#include <array>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "schedule/firings.h"
#include "schedule/testing.h"

namespace onebox::schedule {
namespace {

const WallTime kYear = Utc("2026-01-01 00:00");

// The firings of one trigger, one after the other; from the start again after a year.
void BM_NextAfter(benchmark::State& state, TriggerKind kind, const char* text) {
  const Trigger trigger = Read(kind, text, "Europe/Berlin");
  WallTime at = kYear;
  for (auto _ : state) {
    at = NextAfter(trigger, at).value_or(kYear);
    if (at > kYear + std::chrono::hours(24 * 365)) at = kYear;
  }
}
BENCHMARK_CAPTURE(BM_NextAfter, quarter_hours, TriggerKind::kCron, "*/15 * * * *");
BENCHMARK_CAPTURE(BM_NextAfter, working_hours, TriggerKind::kCron, "30 9-17 * * mon-fri");
BENCHMARK_CAPTURE(BM_NextAfter, nightly, TriggerKind::kCron, "30 2 * * *");
BENCHMARK_CAPTURE(BM_NextAfter, monthly, TriggerKind::kCron, "@monthly");
BENCHMARK_CAPTURE(BM_NextAfter, friday_13th, TriggerKind::kCron, "0 0 13 * fri");
BENCHMARK_CAPTURE(BM_NextAfter, at, TriggerKind::kAt, "mon-fri 9:00, 21:00:30");
BENCHMARK_CAPTURE(BM_NextAfter, every_5_minutes, TriggerKind::kEvery, "5 minutes");
BENCHMARK_CAPTURE(BM_NextAfter, every_7_minutes, TriggerKind::kEvery, "7 minutes");

// The longest ways: forty years because 2100 is no leap year, and years with changes of the clock.
void BM_NextAfterYears(benchmark::State& state, const char* text, const char* after) {
  const Trigger trigger = Read(TriggerKind::kCron, text, "Europe/Berlin");
  const WallTime time = Utc(after);
  for (auto _ : state)
    benchmark::DoNotOptimize(NextAfter(trigger, time));
}
BENCHMARK_CAPTURE(BM_NextAfterYears, forty, "0 0 29 2 */7", "2088-03-01 00:00");
BENCHMARK_CAPTURE(BM_NextAfterYears, twenty_eight, "* 2 29 2 */7", "2004-03-01 00:00");
BENCHMARK_CAPTURE(BM_NextAfterYears, four, "*/15 2 29 2 *", "2028-03-01 00:00");

std::vector<Trigger> ManyTriggers() {
  constexpr std::array kZones = {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"};
  std::vector<Trigger> triggers;
  for (std::size_t i = 0; i < 10'000; ++i) {
    const std::string text = fmt::format("{} {} * * {}", i % 60, i % 24, i % 7);
    triggers.push_back(Read(TriggerKind::kCron, text, kZones[i % kZones.size()]));
  }
  return triggers;
}

// What the broker asks for at its start.
void BM_NextAfterOf10000(benchmark::State& state) {
  const std::vector<Trigger> triggers = ManyTriggers();
  for (auto _ : state) {
    for (const Trigger& trigger : triggers)
      benchmark::DoNotOptimize(NextAfter(trigger, kYear));
  }
  state.SetItemsProcessed(state.iterations() * 10'000);
}
BENCHMARK(BM_NextAfterOf10000)->Unit(benchmark::kMillisecond);

// A year of minutes that were missed.
void BM_FindDue(benchmark::State& state) {
  const Trigger trigger = Read(TriggerKind::kCron, "* * * * *", "Europe/Berlin");
  for (auto _ : state)
    benchmark::DoNotOptimize(FindDue(trigger, kYear, kYear + std::chrono::hours(24 * 365), {}));
}
BENCHMARK(BM_FindDue);

void BM_Parse(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(
        Trigger::Parse(TriggerKind::kCron, "*/15 9-17 1,15 JAN-JUN mon-fri", "Europe/Berlin").ok());
}
BENCHMARK(BM_Parse);

}  // namespace
}  // namespace onebox::schedule
