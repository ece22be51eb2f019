#include "acme/metrics.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "telemetry/civil_time.h"
#include "telemetry/prometheus.h"

namespace onebox::acme {
namespace {

struct Metric {
  std::string_view name, type, help;
  double (*of)(const NameStatus& one);
};

double SecondsOf(WallTime time) {
  return static_cast<double>(telemetry::UnixSeconds(time));
}

bool IsTrusted(const NameStatus& one) {
  return one.facts && !one.facts->placeholder;
}

constexpr std::array kMetrics = {
    Metric{"onebox_acme_certificate",
           "gauge",
           "1 where there is a certificate of an authority, 0 where a placeholder is served.",
           [](const NameStatus& one) { return IsTrusted(one) ? 1.0 : 0.0; }},
    Metric{"onebox_acme_not_after_seconds",
           "gauge",
           "Until when it holds, in seconds since 1970; 0 of a placeholder.",
           [](const NameStatus& one) {
             return IsTrusted(one) ? SecondsOf(one.facts->not_after) : 0.0;
           }},
    Metric{"onebox_acme_next_attempt_seconds",
           "gauge",
           "When the next one is asked for, in seconds since 1970; 0: now.",
           [](const NameStatus& one) { return SecondsOf(one.due); }},
    Metric{"onebox_acme_failures",
           "gauge",
           "Attempts that have failed since the last that has not.",
           [](const NameStatus& one) { return static_cast<double>(one.state.failures); }},
    Metric{"onebox_acme_issued_total",
           "counter",
           "Certificates that were obtained.",
           [](const NameStatus& one) { return static_cast<double>(one.issued); }},
};

// With a second label, the class of the error.
constexpr telemetry::Heading kLastError{
    "onebox_acme_last_error",
    "gauge",
    "1 of the class of the last attempt's error, until one succeeds."};
constexpr telemetry::Heading kFailed{"onebox_acme_failed_total",
                                     "counter",
                                     "Attempts that have failed, by the class of their error."};

void AppendErrorLine(std::string& out,
                     std::string_view metric,
                     std::string_view name,
                     std::string_view error,
                     std::uint64_t count) {
  telemetry::AppendName(out, metric, "name", name);
  out += fmt::format(",error=\"{}\"}} {}\n", error, count);
}

}  // namespace

std::string Metrics(std::span<const NameStatus> names) {
  std::string out;
  for (const Metric& metric : kMetrics) {
    telemetry::AppendHeading(out, {metric.name, metric.type, metric.help});
    for (const NameStatus& one : names) {
      telemetry::AppendName(out, metric.name, "name", one.name);
      out += fmt::format("}} {:.0f}\n", metric.of(one));
    }
  }
  telemetry::AppendHeading(out, kLastError);
  for (const NameStatus& one : names) {
    if (one.state.error_kind.empty()) continue;
    AppendErrorLine(out, kLastError.name, one.name, one.state.error_kind, 1);
  }
  telemetry::AppendHeading(out, kFailed);
  for (const NameStatus& one : names) {
    for (const auto& [error, count] : one.failed) {
      AppendErrorLine(out, kFailed.name, one.name, error, count);
    }
  }
  return out;
}

std::string MetricsReference() {
  std::string out;
  for (const Metric& metric : kMetrics) {
    out += fmt::format("| `{}{{name}}` | {} | {} |\n", metric.name, metric.type, metric.help);
  }
  for (const telemetry::Heading& one : {kLastError, kFailed}) {
    out += fmt::format("| `{}{{name,error}}` | {} | {} |\n", one.name, one.type, one.help);
  }
  return out;
}

}  // namespace onebox::acme
