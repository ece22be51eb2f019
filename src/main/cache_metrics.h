#pragma once
// What /metrics says of the cache.

#include <string>

#include "cache/cache.h"

namespace onebox::main {

// In Prometheus' text format.
std::string CacheMetrics(cache::Cache& cache);

}  // namespace onebox::main
