#pragma once
// What /metrics says of certificates that are obtained.

#include <span>
#include <string>

#include "acme/keeper.h"

namespace onebox::acme {

std::string Metrics(std::span<const NameStatus> names);

// The rows of docs/use/logs-and-metrics.md.
std::string MetricsReference();

}  // namespace onebox::acme
