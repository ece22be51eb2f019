#pragma once
// Keys whose answer was not shared lately: nobody waits for another's request there.

#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace onebox::webcache {

// From any thread. A fixed table: a key may push out another, and then one request more leads. Two keys
// that meet in the upper bits of a hash, 1 in 2^52, share a mark: they cost the app requests, nothing else.
class PassMarks {
 public:
  static constexpr Duration kFor = std::chrono::seconds(5);

  void Set(std::uint64_t hash, Time now) {
    Slot& slot = SlotOf(hash);
    slot.until.store((now + kFor).time_since_epoch().count(), std::memory_order_relaxed);
    slot.hash.store(hash, std::memory_order_relaxed);
  }
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

  std::array<Slot, kSlots> slots_{};
};

}  // namespace onebox::webcache
