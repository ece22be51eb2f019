#pragma once
// Sleeping until a word in shared memory changes (futex(2)).

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace onebox::os {

// Until somebody wakes who waits for the word, or `timeout` has passed; at once where it is not
// `expected`. It may return for no reason.
void WaitForChange(std::atomic<std::uint32_t>& word, std::uint32_t expected, Duration timeout);

// All who wait for it, in every process.
void WakeWaiting(std::atomic<std::uint32_t>& word);

}  // namespace onebox::os
