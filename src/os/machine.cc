#include "os/machine.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "os/error.h"
#include "os/fd.h"
#include "os/process.h"

namespace onebox::os {
namespace {

constexpr std::size_t kFactsBytesMax = 64 << 10;

std::string ReadOrEmpty(const std::string& path) {
  auto text = ReadKernelFile(path, kFactsBytesMax);
  return text.ok() ? std::move(text).value() : std::string();
}

// The number that follows `name` and blanks; 0 where there is none.
std::uint64_t NumberBehind(const std::string& text, const std::string& name) {
  const std::size_t found = text.find(name);
  return found == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + found + name.size(), nullptr, 10);
}

}  // namespace

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

std::uint64_t MemoryAvailable() {
  const std::uint64_t available = NumberBehind(ReadOrEmpty("/proc/meminfo"), "MemAvailable:")
                                  << 10U;
  const auto group = ReadGroupMemory();
  return group ? std::min(available, group->left) : available;
}

std::optional<GroupMemory> ReadGroupMemory(const std::string& groups, const std::string& mount) {
  // "0::/system.slice/onebox.service"
  const std::string text = "\n" + ReadOrEmpty(groups);
  const std::size_t line = text.find("\n0::/");
  if (line == std::string::npos) return std::nullopt;
  const std::size_t begin = line + 4;
  std::string path = text.substr(begin, text.find('\n', begin) - begin);
  std::optional<GroupMemory> tightest;
  for (;;) {
    const std::string folder = path == "/" ? mount : mount + path;
    const std::string limit = ReadOrEmpty(folder + "/memory.max");
    if (!limit.empty() && !limit.starts_with("max")) {
      const std::string stat = "\n" + ReadOrEmpty(folder + "/memory.stat");
      const std::uint64_t given_back =
          NumberBehind(stat, "\ninactive_file ") + NumberBehind(stat, "\nslab_reclaimable ");
      const std::uint64_t current = NumberBehind(ReadOrEmpty(folder + "/memory.current"), "");
      const std::uint64_t used = current - std::min(current, given_back);
      const std::uint64_t most = NumberBehind(limit, "");
      const GroupMemory found{.limit = most, .left = most - std::min(most, used)};
      tightest = {.limit = std::min(found.limit, tightest.value_or(found).limit),
                  .left = std::min(found.left, tightest.value_or(found).left)};
    }
    if (path.size() <= 1) return tightest;
    path.erase(std::max<std::size_t>(path.rfind('/'), 1));
  }
}

CpuTimes ReadCpuTimes() {
  const std::string text = ReadOrEmpty("/proc/stat");
  // "cpu  user nice system idle iowait irq softirq steal ...": guests are in user and nice already.
  // What runs at a low priority gives way.
  constexpr int kNice = 1, kIdle = 3, kWaits = 4, kColumns = 8;
  const char* at = text.c_str() + std::min<std::size_t>(text.size(), 3);
  CpuTimes times;
  for (int column = 0; column < kColumns; ++column) {
    char* end = nullptr;
    const std::uint64_t ticks = std::strtoull(at, &end, 10);
    if (end == at) return {};
    at = end;
    times.all += ticks;
    if (column == kNice || column == kIdle || column == kWaits) times.idle += ticks;
  }
  return times;
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

std::string HostName() {
  utsname names{};
  return ::uname(&names) == 0 ? names.nodename : "";
}

}  // namespace onebox::os
