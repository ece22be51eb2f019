#pragma once
// CommonNames: which begins of keys are so common that the statistics have a name for them.

#include <array>
#include <atomic>
#include <cstdint>

namespace onebox::cache {

// Of one process. Keys that begin at random, as digests and tokens do, would use up all names that there
// are: a begin becomes one when it has been seen with kKeysMin keys, and more often than others that come
// to the same slot. Any thread may call; of calls at the same time one may not count.
class CommonNames final {
 public:
  static constexpr std::uint64_t kKeysMin = 8;

  // Hashes of a begin, and of a key that begins so. Whether it is a name from now on.
  bool Saw(std::uint64_t name, std::uint64_t key);

 private:
  static constexpr std::size_t kSlots = 256;

  std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

}  // namespace onebox::cache
