#pragma once
// What the kernel says of the machine.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace onebox::os {

// The logical cores that this process may run on.
unsigned CoresAllowed();

std::uint64_t MemoryBytes();

// What can still be taken without swapping, of the machine, or of the container or service if that is
// less; 0 where the kernel does not say.
std::uint64_t MemoryAvailable();

// Of the tightest of the control groups that this process is in: a container's, a service's.
struct GroupMemory {
  std::uint64_t limit = 0;
  std::uint64_t left = 0;  // page cache that the kernel would give back counts as left
};
// cgroup v2, by what /proc/self/cgroup says and what is mounted at `mount`; nothing where no group has a
// limit.
std::optional<GroupMemory> ReadGroupMemory(const std::string& groups = "/proc/self/cgroup",
                                           const std::string& mount = "/sys/fs/cgroup");

// Since the start of the machine, of all its cores together.
struct CpuTimes {
  std::uint64_t idle = 0;  // or of low priority; in ticks, as `all`
  std::uint64_t all = 0;
};
CpuTimes ReadCpuTimes();

// A file of /proc or /sys, whose size is not known before it is read; cut at `bytes_max`.
Result<std::string> ReadKernelFile(const std::string& path, std::size_t bytes_max);

// This machine's name in its network, as it has it itself.
std::string HostName();

}  // namespace onebox::os
