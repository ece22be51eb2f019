#pragma once
// What /metrics says of the cache.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/cache.h"

namespace onebox::main {

// "connecting", "up" or "down": what the front that tracks has found.
std::string_view SecondState(const cache::SecondHead& head);
// Whether what was read from Redis is used.
bool IsTrusted(const cache::SecondHead& head, Time now);

// In Prometheus' text format.
std::string CacheMetrics(cache::Cache& cache);

}  // namespace onebox::main
