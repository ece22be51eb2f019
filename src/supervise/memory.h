#pragma once
// How much memory a worker has, and what follows from it.

#include <cstdint>
#include <optional>
#include <string_view>

namespace onebox::supervise {

// Of one process at one moment, in bytes.
struct MemoryReading {
  std::uint64_t pss = 0;            // a page that n processes share counts as an n-th
  std::uint64_t own = 0;            // pages that nobody else has touched
  std::uint64_t shared_memory = 0;  // of pss: memory that is made to be shared

  // Without so much that is not the worker's: it counts in pss, and as its own.
  MemoryReading Without(std::uint64_t bytes) const;
};

// The text of /proc/PID/smaps_rollup; nothing where it is none.
std::optional<MemoryReading> ParseRollup(std::string_view text);

// Of the mappings with that name in the text of /proc/PID/smaps: pages that nobody else has touched. Of
// what all workers share these are whoever came first, and no worker's.
std::uint64_t OwnPagesOf(std::string_view smaps, std::string_view name);

struct MemoryLimits {
  std::uint64_t soft = 0;  // of one worker; above it another takes its place. 0: no limit
  std::uint64_t hard = 0;  // above it it takes no more requests from that moment on. 0: no limit
};

// A worker's share of what is shared jumps as others come and go, and tells nothing of itself: it
// counts as it was at the first reading, and what grows is its own.
class WorkerMemory {
 public:
  enum class Verdict : unsigned char { kFine, kReplace, kEnd };

  void Take(const MemoryReading& reading, const MemoryLimits& limits);
  Verdict Judge(const MemoryLimits& limits) const;

  // 0 before the first reading.
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::optional<std::uint64_t> shared_;
  std::uint64_t bytes_ = 0;
  int readings_above_ = 0;  // the soft limit, in a row
};

// Processes that fit beside `present` ones, so that there may be `wanted` and this many more.
struct MemoryRoom {
  std::uint64_t free = 0;     // bytes that may still be taken
  std::uint64_t largest = 0;  // of the workers; 0: none has been measured
  unsigned present = 0;
  unsigned wanted = 0;
};
// At most as many as are wanted; all of them where nothing is known.
unsigned SpareWorkers(const MemoryRoom& room);

}  // namespace onebox::supervise
