#include "main/cache_metrics.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "os/clock.h"
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

void AppendHeading(std::string& out,
                   std::string_view name,
                   std::string_view type,
                   std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

}  // namespace

std::string CacheMetrics(cache::Cache& cache) {
  // In the front, which waits for nobody.
  const Figures figures = cache.Count(os::SystemClock().Now(), cache::Wait::kNot);
  std::string out;
  for (const Whole& row : kWhole) {
    AppendHeading(out, row.name, row.type, row.help);
    out += fmt::format("{} {}\n", row.name, row.of(figures));
  }
  for (const ByName& metric : kByName) {
    AppendHeading(out, metric.name, "counter", metric.help);
    for (const Row& row : figures.rows) {
      out += fmt::format("{}{{name=\"", metric.name);
      telemetry::AppendLabelValue(out, row.name);
      out += fmt::format("\"}} {}\n", row.*metric.count);
    }
  }
  return out;
}

}  // namespace onebox::main
