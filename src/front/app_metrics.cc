#include "front/app_metrics.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "telemetry/prometheus.h"

namespace onebox::front {
namespace {

struct Row {
  std::string_view name, type, help;
  std::uint64_t (*of)(const Dispatch::Now& now);
};
constexpr std::array kRows = {
    Row{"onebox_app_queue_length",
        "gauge",
        "Requests that wait for a worker of an app, where there are several.",
        [](const Dispatch::Now& now) -> std::uint64_t { return now.queued; }},
    Row{"onebox_app_threads_busy",
        "gauge",
        "Threads of an app that run a request.",
        [](const Dispatch::Now& now) -> std::uint64_t { return now.busy; }},
    Row{"onebox_app_requests_total",
        "counter",
        "Requests that workers of an app have answered.",
        [](const Dispatch::Now& now) { return now.answered; }},
};

}  // namespace

void AppendAppMetrics(std::string& out,
                      std::span<const std::string> names,
                      const Dispatches& dispatches) {
  if (dispatches.size() < 2) return;
  std::vector<Dispatch::Now> seen;
  for (const auto& dispatch : dispatches)
    seen.push_back(dispatch->Seen());
  for (const Row& row : kRows) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", row.name, row.help, row.type);
    for (std::size_t app = 0; app < seen.size(); ++app) {
      out += fmt::format("{}{{app=\"", row.name);
      telemetry::AppendLabelValue(out, names[app]);
      out += fmt::format("\"}} {}\n", row.of(seen[app]));
    }
  }
}

std::string AppNews(const Dispatches& dispatches) {
  std::string news;
  if (dispatches.size() < 2) return news;
  for (const auto& dispatch : dispatches) {
    const Dispatch::Now now = dispatch->Seen();
    news += fmt::format(R"({}{{"queue":{},"busy":{},"requests":{}}})",
                        news.empty() ? "" : ",",
                        now.queued,
                        now.busy,
                        now.answered);
  }
  return fmt::format(R"(,"apps":[{}])", news);
}

}  // namespace onebox::front
