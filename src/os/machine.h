#pragma once
// What the kernel says of the machine.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace onebox::os {

// The logical cores that this process may run on.
unsigned CoresAllowed();

std::uint64_t MemoryBytes();

// A file of /proc or /sys, whose size is not known before it is read; cut at `bytes_max`.
Result<std::string> ReadKernelFile(const std::string& path, std::size_t bytes_max);

}  // namespace onebox::os
