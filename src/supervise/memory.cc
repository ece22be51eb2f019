#include "supervise/memory.h"

#include <algorithm>

#include "base/ascii.h"

namespace onebox::supervise {
namespace {

constexpr int kReadingsAbove = 2;  // one alone may be a moment's
constexpr std::uint64_t kKilobytesMax = 1ULL << 50U;

// "Pss:     176 kB" in a text of such lines.
std::optional<std::uint64_t> BytesOf(std::string_view text, std::string_view name) {
  std::size_t at = text.find(name);
  while (at != std::string_view::npos && at > 0 && text[at - 1] != '\n') {
    at = text.find(name, at + 1);
  }
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(at + name.size());
  line = line.substr(0, line.find('\n'));
  const std::size_t unit = line.find(" kB");
  if (unit == std::string_view::npos) return std::nullopt;
  const auto kilobytes = ParseDecimal(Trimmed(line.substr(0, unit)), kKilobytesMax);
  if (!kilobytes) return std::nullopt;
  return *kilobytes << 10U;
}

}  // namespace

std::optional<MemoryReading> ParseRollup(std::string_view text) {
  const auto pss = BytesOf(text, "Pss:");
  const auto clean = BytesOf(text, "Private_Clean:");
  const auto dirty = BytesOf(text, "Private_Dirty:");
  if (!pss || !clean || !dirty) return std::nullopt;
  return MemoryReading{*pss, *clean + *dirty, BytesOf(text, "Pss_Shmem:").value_or(0)};
}

MemoryReading MemoryReading::Without(std::uint64_t bytes) const {
  return {pss - std::min(pss, bytes), own - std::min(own, bytes), 0};
}

std::uint64_t OwnPagesOf(std::string_view smaps, std::string_view name) {
  std::uint64_t bytes = 0;
  bool is_it = false;
  while (!smaps.empty()) {
    const std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(line.size() + 1, smaps.size()));
    // "7f00-7f10 rw-s 00000000 00:01 1024   /memfd:NAME (deleted)", then "Field:   176 kB"
    if (line.find(':') > line.find(' ')) is_it = line.find(name) != line.npos;
    if (is_it && line.starts_with("Private_")) {
      bytes += BytesOf(line, line.substr(0, line.find(':') + 1)).value_or(0);
    }
  }
  return bytes;
}

void WorkerMemory::Take(const MemoryReading& reading, const MemoryLimits& limits) {
  if (!shared_) shared_ = reading.pss - std::min(reading.pss, reading.own);
  bytes_ = reading.own + *shared_;
  readings_above_ = limits.soft > 0 && bytes_ > limits.soft ? readings_above_ + 1 : 0;
}

WorkerMemory::Verdict WorkerMemory::Judge(const MemoryLimits& limits) const {
  if (limits.hard > 0 && bytes_ > limits.hard) return Verdict::kEnd;
  return readings_above_ >= kReadingsAbove ? Verdict::kReplace : Verdict::kFine;
}

unsigned SpareWorkers(const MemoryRoom& room) {
  if (room.largest == 0) return room.wanted;
  const std::uint64_t possible = room.present + room.free / room.largest;
  const std::uint64_t spare = possible - std::min<std::uint64_t>(possible, room.wanted);
  return static_cast<unsigned>(std::min<std::uint64_t>(spare, room.wanted));
}

}  // namespace onebox::supervise
