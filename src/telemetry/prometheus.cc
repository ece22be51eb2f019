#include "telemetry/prometheus.h"

#include <array>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"

namespace onebox::telemetry {
namespace {

constexpr std::array<std::string_view, 4> kTypeNames = {"counter", "gauge", "histogram", "counter"};

std::string_view TypeName(const MetricRow& row) {
  return kTypeNames[static_cast<std::size_t>(row.type)];
}

// Which characters the text format has escaped differs: a label's value stands in quotes.
enum class Place : std::uint8_t { kHelp, kLabel };

void AppendEscaped(std::string& out, std::string_view text, Place place) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && place == Place::kLabel) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void AppendHeading(std::string& out, const MetricRow& row) {
  fmt::format_to(std::back_inserter(out), "# HELP {} ", row.name);
  AppendEscaped(out, row.help, Place::kHelp);
  fmt::format_to(std::back_inserter(out), "\n# TYPE {} {}\n", row.name, TypeName(row));
}

// The label's value is `value` of the row, or the member's name.
void AppendSample(std::string& out,
                  const MetricRow& row,
                  std::string_view value,
                  std::uint64_t number) {
  out += row.name;
  if (!row.label.empty()) {
    fmt::format_to(std::back_inserter(out), "{{{}=\"", row.label);
    AppendEscaped(out, value, Place::kLabel);
    out += "\"}";
  }
  fmt::format_to(std::back_inserter(out), " {}\n", number);
}

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void AppendHistogram(std::string& out, const MetricRow& row, const HistogramSum& sum) {
  const auto back = std::back_inserter(out);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBucketBounds.size(); ++i) {
    below += sum.buckets[i];
    fmt::format_to(back, "{}_bucket{{le=\"{}\"}} {}\n", row.name, Seconds(kBucketBounds[i]), below);
  }
  fmt::format_to(back, "{}_bucket{{le=\"+Inf\"}} {}\n", row.name, sum.count);
  fmt::format_to(back, "{}_sum {:.9f}\n", row.name, Seconds(sum.sum));
  fmt::format_to(back, "{}_count {}\n", row.name, sum.count);
}

// The members' names, where they are a list; a status is its number.
std::span<const std::string_view> NamesOf(Family family,
                                          std::span<const std::string_view> refusals) {
  switch (family) {
    case Family::kAnswers:
      return {};
    case Family::kAnswerClasses:
      return kAnswerClassNames;
    case Family::kSteps:
      return kStepNames;
    case Family::kLimits:
      return kLimitNames;
    case Family::kHandshakes:
      return kHandshakeNames;
    case Family::kRefusals:
      return refusals;
    case Family::kCached:
      return kCachedNames;
    case Family::kNotStored:
      return kNotStoredNames;
  }
  return {};
}

void AppendFamily(std::string& out,
                  const MetricRow& row,
                  const Metrics& metrics,
                  std::span<const std::string_view> refusals) {
  const auto family = static_cast<Family>(row.index);
  const auto names = NamesOf(family, refusals);
  const std::size_t members = family == Family::kAnswers ? kAnswerStatuses : names.size();
  for (std::size_t i = 0; i < members; ++i) {
    const std::uint64_t number = metrics.Sum(family, i);
    if (number == 0) continue;
    const fmt::format_int status(i + 100);
    const std::string_view status_text(status.data(), status.size());
    AppendSample(out, row, family == Family::kAnswers ? status_text : names[i], number);
  }
}

void AppendMetric(std::string& out,
                  const MetricRow& row,
                  const Metrics& metrics,
                  std::span<const std::string_view> refusals) {
  switch (row.type) {
    case MetricType::kCounter:
      return AppendSample(out, row, row.value, metrics.Sum(static_cast<Counter>(row.index)));
    case MetricType::kGauge:
      return AppendSample(out, row, row.value, metrics.Sum(static_cast<Gauge>(row.index)));
    case MetricType::kHistogram:
      return AppendHistogram(out, row, metrics.Sum(static_cast<Histogram>(row.index)));
    case MetricType::kFamily:
      return AppendFamily(out, row, metrics, refusals);
  }
}

std::string LabelsInWords(const MetricRow& row) {
  if (row.label.empty()) return "";
  if (!row.value.empty()) return fmt::format("`{}=\"{}\"`", row.label, row.value);
  const auto names = NamesOf(static_cast<Family>(row.index), {});
  if (names.empty()) return fmt::format("`{}`", row.label);
  std::string words = fmt::format("`{}`:", row.label);
  for (const std::string_view name : names)
    words += fmt::format(" `{}`", name);
  return words;
}

}  // namespace

std::string Exposition(const Metrics& metrics, std::span<const std::string_view> refusals) {
  CHECK(refusals.size() <= kRefusalsMax);
  std::string out;
  std::string_view previous;
  for (const MetricRow& row : kMetricTable) {
    if (row.name != previous) AppendHeading(out, row);
    previous = row.name;
    AppendMetric(out, row, metrics, refusals);
  }
  return out;
}

void AppendHeading(std::string& out, const Heading& heading) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", heading.name, heading.help, heading.type);
}

void AppendName(std::string& out,
                std::string_view name,
                std::string_view label,
                std::string_view value) {
  out += fmt::format("{}{{{}=\"", name, label);
  AppendLabelValue(out, value);
  out += '"';
}

void AppendLabelValue(std::string& out, std::string_view value) {
  AppendEscaped(out, value, Place::kLabel);
}

std::string MetricsReference() {
  std::string out =
      "# Metrics\n\n"
      "What `/metrics` on the admin address says, in Prometheus' text format. Times are in "
      "seconds.\n"
      "A member of a labelled counter appears when it has counted once.\n\n"
      "| metric | type | labels | meaning |\n"
      "| --- | --- | --- | --- |\n";
  for (const MetricRow& row : kMetricTable) {
    out += fmt::format(
        "| `{}` | {} | {} | {} |\n", row.name, TypeName(row), LabelsInWords(row), row.help);
  }
  out += "\nThe buckets of a histogram end at";
  for (const Duration bound : kBucketBounds)
    out += fmt::format(" {}", Seconds(bound));
  return out += " seconds; the last has no end.\n";
}

}  // namespace onebox::telemetry
