#include "cache/common_names.h"

namespace onebox::cache {
namespace {

// A slot is one word, so that it is always whole: parts of two hashes, and with how many keys.
struct Seen {
  std::uint64_t name = 0;  // 32 bits
  std::uint64_t key = 0;   // 24 bits, of the last one
  std::uint64_t count = 0;

  static Seen Of(std::uint64_t word) {
    return {word >> 32U, word >> 8U & 0xFF'FFFFU, word & 0xFFU};
  }
  std::uint64_t Word() const { return name << 32U | key << 8U | count; }
};

}  // namespace

bool CommonNames::Saw(std::uint64_t name, std::uint64_t key) {
  std::atomic<std::uint64_t>& slot = slots_[name % kSlots];
  Seen seen = Seen::Of(slot.load(std::memory_order_relaxed));
  const Seen now{name >> 32U, key >> 40U, 1};
  if (seen.count == 0) {
    seen = now;
  } else if (seen.name != now.name) {
    --seen.count;
  } else if (seen.key != now.key) {
    seen.key = now.key;
    ++seen.count;
  }
  const bool common = seen.count >= kKeysMin;
  slot.store(common ? 0 : seen.Word(), std::memory_order_relaxed);
  return common;
}

}  // namespace onebox::cache
