#pragma once
// What the kernel says of the machine.

#include <cstdint>
#include <string>

#include "base/result.h"

namespace onebox::os {

// The logical cores that this process may run on.
unsigned CoresAllowed();

std::uint64_t MemoryBytes();

// What can still be taken without swapping, of the machine, or of the container if that is less; 0
// where the kernel does not say.
std::uint64_t MemoryAvailable();

// Since the start of the machine, of all its cores together.
struct CpuTimes {
  std::uint64_t idle = 0;  // or of low priority; in ticks, as `all`
  std::uint64_t all = 0;
};
CpuTimes ReadCpuTimes();

// A file of /proc or /sys, whose size is not known before it is read; cut at `bytes_max`.
Result<std::string> ReadKernelFile(const std::string& path, std::size_t bytes_max);

}  // namespace onebox::os
