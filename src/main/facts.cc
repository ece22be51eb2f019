#include "main/facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "base/ascii.h"
#include "main/words.h"
#include "os/machine.h"

namespace onebox::main {
namespace {

constexpr std::size_t kProcBytesMax = 4 << 20;

std::string ReadOrEmpty(const std::string& path) {
  auto text = os::ReadKernelFile(path, kProcBytesMax);
  return text.ok() ? std::move(text).value() : std::string();
}

// Less than the machine's in a container or service that is held to less.
std::uint64_t MemoryAllowed() {
  const auto group = os::ReadGroupMemory();
  return group ? std::min(os::MemoryBytes(), group->limit) : os::MemoryBytes();
}

struct Port {
  unsigned number;
  std::string_view database;
};
constexpr std::array kDatabasePorts = {Port{3306, "MySQL or MariaDB"},
                                       Port{5432, "PostgreSQL"},
                                       Port{33060, "MySQL"}};
constexpr std::string_view kListening = "0A";

}  // namespace

unsigned CountPhysicalCores(std::string_view cpuinfo) {
  std::set<std::pair<std::string_view, std::string_view>> cores;
  std::string_view package;
  for (const std::string_view line : SplitWords(cpuinfo, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = Trimmed(line.substr(0, colon));
    const std::string_view value = Trimmed(line.substr(colon + 1));
    if (name == "physical id") package = value;
    if (name == "core id") cores.insert({package, value});
  }
  return static_cast<unsigned>(cores.size());
}

std::string FindDatabase(std::string_view sockets) {
  for (const std::string_view line : SplitWords(sockets, '\n')) {
    const auto columns = SplitWords(line, ' ');  // "0: 0100007F:0CEA 00000000:0000 0A ..."
    if (columns.size() < 4 || columns[3] != kListening) continue;
    const std::string_view port = columns[1].substr(columns[1].find(':') + 1);
    unsigned number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number, 16);
    for (const Port& known : kDatabasePorts) {
      if (known.number == number) return std::string(known.database);
    }
  }
  return {};
}

plan::MachineFacts ReadMachineFacts() {
  return {
      .logical_cores = os::CoresAllowed(),
      .physical_cores = CountPhysicalCores(ReadOrEmpty("/proc/cpuinfo")),
      .memory_bytes = MemoryAllowed(),
      .database = FindDatabase(ReadOrEmpty("/proc/net/tcp") + ReadOrEmpty("/proc/net/tcp6")),
  };
}

}  // namespace onebox::main
