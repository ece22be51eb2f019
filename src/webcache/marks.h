#pragma once
// Keys that are marked for a while.

#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace onebox::webcache {

// From any thread. A fixed table: a key may push out another. Two keys
// that meet in the upper bits of a hash, 1 in 2^52, share a mark.
class Marks {
 public:
  // `lasts`: how long a mark holds.
  explicit Marks(Duration lasts) : lasts_(lasts) {}

  void Set(std::uint64_t hash, Time now) {
    any_.store(true, std::memory_order_relaxed);
    Slot& slot = SlotOf(hash);
    slot.until.store((now + lasts_).time_since_epoch().count(), std::memory_order_relaxed);
    slot.hash.store(hash, std::memory_order_relaxed);
  }
  // Whether there ever was one.
  bool any() const { return any_.load(std::memory_order_relaxed); }
  bool Has(std::uint64_t hash, Time now) const {
    const Slot& slot = slots_[hash % kSlots];
    return slot.hash.load(std::memory_order_relaxed) == hash &&
           now.time_since_epoch().count() < slot.until.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kSlots = 4096;
  struct Slot {
    std::atomic<std::uint64_t> hash{0};
    std::atomic<std::int64_t> until{0};
  };
  Slot& SlotOf(std::uint64_t hash) { return slots_[hash % kSlots]; }

  const Duration lasts_;
  std::atomic<bool> any_{false};
  std::array<Slot, kSlots> slots_{};
};

}  // namespace onebox::webcache
