#include "os/machine.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "os/error.h"
#include "os/fd.h"
#include "os/process.h"

namespace onebox::os {

unsigned CoresAllowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);  // more cores than a cpu_set_t has bits
  return online > 0 ? static_cast<unsigned>(online) : 1;
}

std::uint64_t MemoryBytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<std::string> ReadKernelFile(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return SystemError(path, errno);
  std::string text;
  while (text.size() < bytes_max) {
    const std::string more = ReadAvailable(file);
    if (more.empty()) break;
    text += more;
  }
  text.resize(std::min(text.size(), bytes_max));
  return text;
}

}  // namespace onebox::os
