#pragma once
// The metrics as text: for Prometheus' scrape, for the reference page.

#include <span>
#include <string>
#include <string_view>

#include "telemetry/metrics.h"

namespace onebox::telemetry {

// Text format 0.0.4. `refusals` names the cells of Family::kRefusals, in their order. Members of a
// family that never counted are left out.
std::string Exposition(const Metrics& metrics, std::span<const std::string_view> refusals);

// The two lines before the values of a metric that is not in the table.
struct Heading {
  std::string_view name, type, help;
};
void AppendHeading(std::string& out, const Heading& heading);

// NAME{LABEL="VALUE", without what ends it: more labels may follow.
void AppendName(std::string& out,
                std::string_view name,
                std::string_view label,
                std::string_view value);

// What a label's value stands as between its quotes.
void AppendLabelValue(std::string& out, std::string_view value);

// What Exposition is sent as.
inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

// The reference page of the metrics, in Markdown.
std::string MetricsReference();

}  // namespace onebox::telemetry
