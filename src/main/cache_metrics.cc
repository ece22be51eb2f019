#include "main/cache_metrics.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "os/clock.h"
#include "redis/health.h"
#include "telemetry/prometheus.h"

namespace onebox::main {
namespace {

using Figures = cache::Cache::Figures;
using Row = cache::Cache::Row;

struct Whole {
  std::string_view name, type, help;
  std::uint64_t (*of)(const Figures& figures);
};
constexpr std::array kWhole = {
    Whole{"onebox_cache_bytes",
          "gauge",
          "Memory of the shared cache.",
          [](const Figures& figures) -> std::uint64_t { return figures.bytes; }},
    Whole{"onebox_cache_bytes_used",
          "gauge",
          "Of it in use.",
          [](const Figures& figures) -> std::uint64_t { return figures.bytes_used; }},
    Whole{"onebox_cache_bytes_kept",
          "gauge",
          "Of that by entries that never give way.",
          [](const Figures& figures) -> std::uint64_t { return figures.bytes_kept; }},
    Whole{"onebox_cache_entries",
          "gauge",
          "Entries in the shared cache.",
          [](const Figures& figures) -> std::uint64_t { return figures.entries; }},
    Whole{"onebox_cache_entries_kept",
          "gauge",
          "Of them those that never give way.",
          [](const Figures& figures) -> std::uint64_t { return figures.entries_kept; }},
    Whole{"onebox_cache_changes_undone_total",
          "counter",
          "Changes that were undone since their process died.",
          [](const Figures& figures) { return figures.undone; }},
    Whole{"onebox_cache_shards_emptied_total",
          "counter",
          "Parts of the cache that were emptied since they made no sense any more.",
          [](const Figures& figures) { return figures.emptied; }},
};

struct ByName {
  std::string_view name, help;
  std::uint64_t Row::*count;
};
constexpr std::array kByName = {
    ByName{"onebox_cache_hits_total", "Keys that were asked for and there.", &Row::hits},
    ByName{"onebox_cache_misses_total", "Keys that were asked for and not there.", &Row::misses},
    ByName{"onebox_cache_sets_total", "Values that were stored.", &Row::sets},
    ByName{"onebox_cache_evictions_total", "Entries that gave way to others.", &Row::evictions},
};

struct OfSecond {
  std::string_view name, type, help;
  std::uint64_t (*of)(const cache::SecondHead& head);
};
constexpr std::array kOfSecond = {
    OfSecond{"onebox_cache_redis_up",
             "gauge",
             "Whether the front hears from the cache's Redis.",
             [](const cache::SecondHead& head) -> std::uint64_t {
               return SecondState(head) == "up" ? 1 : 0;
             }},
    OfSecond{"onebox_cache_redis_trusted",
             "gauge",
             "Whether what was read from it is used.",
             [](const cache::SecondHead& head) -> std::uint64_t {
               return IsTrusted(head, os::SystemClock().Now()) ? 1 : 0;
             }},
    OfSecond{"onebox_cache_redis_untold",
             "gauge",
             "Changes that it could not be told yet.",
             [](const cache::SecondHead& head) { return head.lost.load() - head.settled.load(); }},
    OfSecond{"onebox_cache_redis_hits_total",
             "counter",
             "Keys that were not in the box, and there.",
             [](const cache::SecondHead& head) { return head.hits.load(); }},
    OfSecond{"onebox_cache_redis_misses_total",
             "counter",
             "Keys that were not there either.",
             [](const cache::SecondHead& head) { return head.misses.load(); }},
    OfSecond{"onebox_cache_redis_writes_total",
             "counter",
             "Changes that it has taken.",
             [](const cache::SecondHead& head) { return head.writes.load(); }},
    OfSecond{"onebox_cache_redis_refusals_total",
             "counter",
             "Errors that it has answered.",
             [](const cache::SecondHead& head) { return head.refusals.load(); }},
    OfSecond{"onebox_cache_redis_failures_total",
             "counter",
             "Calls that had no answer in time.",
             [](const cache::SecondHead& head) { return head.failures.load(); }},
    OfSecond{"onebox_cache_redis_not_asked_total",
             "counter",
             "Of them those that were not asked, since others had none.",
             [](const cache::SecondHead& head) { return head.not_asked.load(); }},
};

}  // namespace

std::string_view SecondState(const cache::SecondHead& head) {
  const auto state = static_cast<redis::State>(head.state.load(std::memory_order_relaxed));
  if (state == redis::State::kUp) return "up";
  return state == redis::State::kDown ? "down" : "connecting";
}

bool IsTrusted(const cache::SecondHead& head, Time now) {
  return head.trust.Holds(head.trust.Generation(), now);
}

std::string CacheMetrics(cache::Cache& cache) {
  // In the front, which waits for nobody.
  const Figures figures = cache.Count(os::SystemClock().Now(), cache::Wait::kNot);
  std::string out;
  for (const Whole& row : kWhole) {
    telemetry::AppendHeading(out, {row.name, row.type, row.help});
    out += fmt::format("{} {}\n", row.name, row.of(figures));
  }
  for (const ByName& metric : kByName) {
    telemetry::AppendHeading(out, {metric.name, "counter", metric.help});
    for (const Row& row : figures.rows) {
      out += fmt::format("{}{{name=\"", metric.name);
      telemetry::AppendLabelValue(out, row.name);
      out += fmt::format("\"}} {}\n", row.*metric.count);
    }
  }
  if (cache.second().settings_bytes == 0) return out;
  for (const OfSecond& row : kOfSecond) {
    telemetry::AppendHeading(out, {row.name, row.type, row.help});
    out += fmt::format("{} {}\n", row.name, row.of(cache.second()));
  }
  return out;
}

}  // namespace onebox::main
