#include "front/upstream_metrics.h"

#include <array>
#include <chrono>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "telemetry/escape.h"
#include "telemetry/prometheus.h"

namespace onebox::front {
namespace {

using upstream::Server;
using upstream::ServerState;
using upstream::Upstream;

void AppendHeading(std::string& out,
                   std::string_view name,
                   std::string_view type,
                   std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

std::string LabelsOf(const Upstream& upstream, const Server& server) {
  std::string labels = "upstream=\"";
  telemetry::AppendLabelValue(labels, upstream.settings().name);
  labels += "\",server=\"";
  telemetry::AppendLabelValue(labels, server.name());
  labels += '"';
  return labels;
}

struct OfServer {
  std::string_view name, type, help;
  std::uint64_t (*of)(const Server& server, const Server::Seen& seen);
};
constexpr std::array kOfServer = {
    OfServer{"onebox_upstream_outstanding",
             "gauge",
             "Requests that a server works on.",
             [](const Server& server, const Server::Seen& /*seen*/) -> std::uint64_t {
               return server.outstanding();
             }},
    OfServer{"onebox_upstream_answers_total",
             "counter",
             "Answers of a server, whatever their status.",
             [](const Server& /*server*/, const Server::Seen& seen) { return seen.answers; }},
    OfServer{"onebox_upstream_pauses_total",
             "counter",
             "Times that a server failed so often that it was not asked for a while.",
             [](const Server& /*server*/, const Server::Seen& seen) { return seen.pauses; }},
    OfServer{"onebox_upstream_connections_total",
             "counter",
             "Connections made to a server.",
             [](const Server& /*server*/, const Server::Seen& seen) { return seen.connected; }},
    OfServer{"onebox_upstream_connections_reused_total",
             "counter",
             "Requests sent on a connection that was there.",
             [](const Server& /*server*/, const Server::Seen& seen) { return seen.reused; }},
};

struct OfUpstream {
  std::string_view name, type, help;
  std::int64_t (*of)(const Upstream::Seen& seen);
};
constexpr std::array kOfUpstream = {
    OfUpstream{
        "onebox_upstream_no_server_total",
        "counter",
        "Requests for which no server could be asked.",
        [](const Upstream::Seen& seen) { return static_cast<std::int64_t>(seen.no_server); }},
    OfUpstream{"onebox_upstream_retries_total",
               "counter",
               "Requests given to another server, since the first one failed.",
               [](const Upstream::Seen& seen) { return static_cast<std::int64_t>(seen.retried); }},
    OfUpstream{
        "onebox_upstream_tunnels_total",
        "counter",
        "Connections that became a tunnel to a server, as WebSockets do.",
        [](const Upstream::Seen& seen) { return static_cast<std::int64_t>(seen.tunnels_begun); }},
    OfUpstream{"onebox_upstream_tunnels",
               "gauge",
               "Tunnels that are open.",
               [](const Upstream::Seen& seen) { return seen.tunnels; }},
};

template <typename Visit>
void ForEachServer(const Upstreams& upstreams, Visit visit) {
  for (const auto& upstream : upstreams) {
    for (const auto& server : upstream->servers())
      visit(*server, LabelsOf(*upstream, *server));
  }
}

void AppendState(std::string& out, const Upstreams& upstreams, Time now) {
  constexpr std::string_view kName = "onebox_upstream_up";
  AppendHeading(out, kName, "gauge", "Whether a server is asked: 0 while it is paused or down.");
  ForEachServer(upstreams, [&](const Server& server, const std::string& labels) {
    const bool up = server.health().StateAt(now) == ServerState::kUp;
    out += fmt::format("{}{{{}}} {}\n", kName, labels, up ? 1 : 0);
  });
}

void AppendWaited(std::string& out, const Upstreams& upstreams) {
  constexpr std::string_view kName = "onebox_upstream_wait_seconds_total";
  AppendHeading(out, kName, "counter", "Time from request to head, of all answers together.");
  ForEachServer(upstreams, [&](const Server& server, const std::string& labels) {
    const std::chrono::duration<double> waited = server.seen().waited;
    out += fmt::format("{}{{{}}} {:.6f}\n", kName, labels, waited.count());
  });
}

void AppendFailures(std::string& out, const Upstreams& upstreams) {
  constexpr std::string_view kName = "onebox_upstream_failures_total";
  AppendHeading(out, kName, "counter", "Requests that a server failed to answer, by reason.");
  ForEachServer(upstreams, [&](const Server& server, const std::string& labels) {
    const Server::Seen seen = server.seen();
    for (const upstream::FailureRow& row : upstream::kFailures) {
      const std::uint64_t count = seen.failures[static_cast<std::size_t>(row.failure)];
      if (count == 0) continue;
      out += fmt::format("{}{{{},reason=\"{}\"}} {}\n", kName, labels, row.name, count);
    }
  });
}

}  // namespace

void AppendUpstreamMetrics(std::string& out, const Upstreams& upstreams, Time now) {
  if (upstreams.empty()) return;
  AppendState(out, upstreams, now);
  for (const OfServer& row : kOfServer) {
    AppendHeading(out, row.name, row.type, row.help);
    ForEachServer(upstreams, [&](const Server& server, const std::string& labels) {
      out += fmt::format("{}{{{}}} {}\n", row.name, labels, row.of(server, server.seen()));
    });
  }
  AppendWaited(out, upstreams);
  AppendFailures(out, upstreams);
  for (const OfUpstream& row : kOfUpstream) {
    AppendHeading(out, row.name, row.type, row.help);
    for (const auto& upstream : upstreams) {
      out += fmt::format("{}{{upstream=\"", row.name);
      telemetry::AppendLabelValue(out, upstream->settings().name);
      out += fmt::format("\"}} {}\n", row.of(upstream->seen()));
    }
  }
}

std::string UpstreamNews(const Upstreams& upstreams, Time now) {
  constexpr std::size_t kServersTold = 100;
  std::string rows;
  std::size_t told = 0;
  for (const auto& upstream : upstreams) {
    for (const auto& server : upstream->servers()) {
      if (++told > kServersTold) break;
      const Server::Seen seen = server->seen();
      rows += rows.empty() ? "{\"upstream\":\"" : ",{\"upstream\":\"";
      telemetry::AppendJson(rows, upstream->settings().name);
      rows += "\",\"server\":\"";
      telemetry::AppendJson(rows, server->name());
      const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(seen.waited);
      rows += fmt::format(
          R"(","state":"{}","outstanding":{},"answers":{},"failures":{},"wait_us":{}}})",
          upstream::NameOf(server->health().StateAt(now)),
          server->outstanding(),
          seen.answers,
          std::accumulate(seen.failures.begin(), seen.failures.end(), std::uint64_t{0}),
          seen.answers == 0 ? 0 : static_cast<std::uint64_t>(waited.count()) / seen.answers);
    }
  }
  return rows.empty() ? rows : fmt::format(R"(,"upstreams":[{}])", rows);
}

}  // namespace onebox::front
