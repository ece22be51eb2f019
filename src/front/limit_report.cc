#include "front/limit_report.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "telemetry/prometheus.h"

namespace onebox::front {
namespace {

using Counts = limits::Gate::Counts;

struct Outcome {
  std::string_view label;
  std::string_view words;
  std::uint64_t Counts::*count;
};
constexpr std::array kOutcomes = {Outcome{"passed", "", &Counts::passed},
                                  Outcome{"delayed", "delayed", &Counts::delayed},
                                  Outcome{"rate", "refused by rate", &Counts::refused_rate},
                                  Outcome{"at_once", "refused at once", &Counts::refused_at_once},
                                  Outcome{"logged", "let pass by log_only", &Counts::logged}};

std::vector<Counts> CountsOf(const limits::Gate& gate) {
  std::vector<Counts> counts(gate.size());
  for (std::size_t i = 0; i < counts.size(); ++i)
    counts[i] = gate.counts(i);
  return counts;
}

}  // namespace

LimitReport::LimitReport(const limits::Gate& gate, Time now)
    : gate_(gate), told_(CountsOf(gate)), told_at_(now - kPause) {}

std::vector<std::string> LimitReport::Take(Time now) {
  std::vector<std::string> lines;
  if (now - told_at_ < kPause) return lines;
  for (std::size_t i = 0; i < told_.size(); ++i) {
    const Counts counts = gate_.counts(i);
    std::string parts;
    for (const Outcome& outcome : kOutcomes) {
      const std::uint64_t more = counts.*outcome.count - told_[i].*outcome.count;
      if (outcome.words.empty() || more == 0) continue;
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", more, outcome.words);
    }
    if (parts.empty()) continue;
    told_[i] = counts;
    lines.push_back(
        fmt::format("limit \"{}\": {} since the last such line", gate_.rule(i).name, parts));
  }
  if (!lines.empty()) told_at_ = now;
  return lines;
}

void AppendLimitMetrics(std::string& out, const limits::Gate& gate) {
  if (gate.size() == 0) return;
  out +=
      "# HELP onebox_rate_limits_total Requests that a limit let pass, delayed, refused for their "
      "rate or for those at once; logged: of these, what log_only let pass.\n"
      "# TYPE onebox_rate_limits_total counter\n";
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const Counts counts = gate.counts(i);
    for (const Outcome& outcome : kOutcomes) {
      out += "onebox_rate_limits_total{limit=\"";
      telemetry::AppendLabelValue(out, gate.rule(i).name);
      out += fmt::format("\",outcome=\"{}\"}} {}\n", outcome.label, counts.*outcome.count);
    }
  }
}

}  // namespace onebox::front
