#pragma once
// The shared cache itself, as one of the policies that it is measured against.

#include <cstdint>
#include <memory>

#include "eviction/policies.h"

namespace onebox::eviction {

// Whether a shard may have room for so many blocks.
bool IsRealBudget(std::uint64_t budget);

// A shard with room for `budget` blocks, whose values are as large as it takes for their entries to have
// the charge that the trace gives them. REQUIRES: IsRealBudget(budget).
std::unique_ptr<Policy> NewRealCache(Shelf& shelf, std::uint64_t budget);

}  // namespace onebox::eviction
