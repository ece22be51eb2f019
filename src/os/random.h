#pragma once
// Randomness from the kernel.

#include <cstdint>

namespace onebox::os {

std::uint64_t Random64();

}  // namespace onebox::os
