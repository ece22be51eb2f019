#pragma once
// Waits until one of a few descriptors is readable.

#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"

namespace onebox::os {

// The descriptors of `wanted` that are readable (or at their end); empty when `timeout` has passed.
// Nothing as a timeout waits for ever.
std::vector<int> WaitReadable(std::span<const int> wanted, std::optional<Duration> timeout);

}  // namespace onebox::os
