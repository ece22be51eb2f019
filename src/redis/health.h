#pragma once
// Whether a server answers.

#include <cstdint>

#include "base/backoff.h"

namespace onebox::redis {

// connecting -> up <-> down; connecting -> down.
enum class State : std::uint8_t { kConnecting, kUp, kDown };

}  // namespace onebox::redis
