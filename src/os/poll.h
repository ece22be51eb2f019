#pragma once
// Waits until one of a few descriptors is ready.

#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "os/fd.h"

namespace onebox::os {

// The descriptors of `wanted` that are readable (or at their end); empty when `timeout` has passed.
// Nothing as a timeout waits for ever.
std::vector<int> WaitReadable(std::span<const int> wanted, std::optional<Duration> timeout);

struct Readiness {
  bool reading = false, writing = false;
};
// Until the descriptor `fd`, which another owns, is ready for part of what is wanted, or at its end;
// nothing of it after `timeout`, or where `interrupt` is readable. That one need not be valid.
Readiness WaitReady(int fd, Readiness wanted, const Fd& interrupt, Duration timeout);

}  // namespace onebox::os
