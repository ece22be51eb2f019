// The part of Shard for those who look at it: what is there, and whether it makes sense.

#include <string>
#include <vector>

#include "cache/blocks.h"
#include "cache/queues.h"
#include "cache/shard.h"

namespace onebox::cache {
namespace {

// Counts each block's places.
class Places final {
 public:
  explicit Places(ShardMemory& shard) : shard_(shard), seen_(shard.blocks()) {}

  bool AddChain(std::uint32_t block, std::uint32_t& blocks) {
    blocks = 0;
    while (block != kNoBlock) {
      const Extent extent = shard_.RunAt(block).extent;
      if (shard_.broken()) return false;
      for (std::uint32_t i = 0; i < extent.blocks(); ++i) {
        if (!Add(block + i)) return false;
      }
      blocks += extent.blocks();
      block = extent.next();
    }
    return true;
  }
  // The rest is free, and the map says so.
  bool MapAgrees() {
    std::uint32_t free = 0;
    for (std::uint32_t block = 1; block < shard_.blocks(); ++block) {
      const bool taken = (shard_.map()[block / 64] >> (block % 64) & 1) != 0;
      if (taken != seen_[block]) return false;
      free += taken ? 0 : 1;
    }
    return free == shard_.head().free_blocks;
  }

 private:
  bool Add(std::uint32_t block) {
    if (block >= seen_.size() || seen_[block]) return false;
    seen_[block] = true;
    return true;
  }

  ShardMemory& shard_;
  std::vector<bool> seen_;
};

}  // namespace

void Shard::ForEach(Time now, const Each& each) {
  std::string key;
  for (std::size_t queue = 0; queue < kQueues; ++queue) {
    std::uint32_t block = memory_.head().queues[queue].newest;
    for (std::uint32_t steps = 0; block != kNoBlock && memory_.Check(steps < memory_.blocks());
         ++steps) {
      const Entry& entry = memory_.EntryAt(block);
      if (IsThere(block, now) && entry.codec != kClaimCodec) {
        if (!ReadKey(block, key)) return;
        each(entry, key);
      }
      block = entry.older;
    }
  }
}

void Shard::AppendKept(std::string_view prefix, Time now, std::vector<std::string>& values) {
  std::string key;
  std::uint32_t block = memory_.head().queues[static_cast<std::size_t>(Queue::kKept)].newest;
  for (std::uint32_t steps = 0; block != kNoBlock && memory_.Check(steps < memory_.blocks());
       ++steps) {
    const Entry& entry = memory_.EntryAt(block);
    if (entry.codec != kClaimCodec && IsThere(block, now)) {
      if (!ReadKey(block, key)) return;
      if (key.starts_with(prefix) && memory_.Check(entry.value_bytes <= value_bytes_max())) {
        std::string value(entry.value_bytes, '\0');
        ReadValue(block, reinterpret_cast<std::byte*>(value.data()), value.size());
        values.push_back(std::move(value));
      }
    }
    block = entry.older;
  }
}

bool Shard::CheckInvariants() {
  Places places(memory_);
  std::uint32_t entries = 0, blocks = 0, claims = 0, in_buckets = 0;
  for (std::size_t queue = 0; queue < kQueues; ++queue) {
    const QueueHead& head = memory_.head().queues[queue];
    std::uint32_t newer = kNoBlock, queue_blocks = 0, queue_entries = 0;
    for (std::uint32_t block = head.newest; block != kNoBlock;
         block = memory_.EntryAt(block).older) {
      const Entry& entry = memory_.EntryAt(block);
      if (!places.AddChain(block, blocks) || entry.blocks != blocks || entry.newer != newer ||
          static_cast<std::size_t>(entry.queue) != queue || PlaceOf(block).block != block) {
        return false;
      }
      queue_blocks += blocks;
      queue_entries += 1;
      claims += entry.codec == kClaimCodec ? 1 : 0;
      newer = block;
    }
    if (head.oldest != newer || head.blocks != queue_blocks || head.entries != queue_entries)
      return false;
    entries += queue_entries;
  }
  for (std::uint32_t bucket : memory_.buckets()) {
    for (std::uint32_t block = bucket; block != kNoBlock && in_buckets <= entries; ++in_buckets)
      block = memory_.EntryAt(block).in_bucket;
  }
  const ShardHead& head = memory_.head();
  return in_buckets == entries && claims == head.claims &&
         places.AddChain(head.being_made, blocks) && places.AddChain(head.discarded, blocks) &&
         places.MapAgrees() && memory_.undo().Empty() && !memory_.broken();
}

}  // namespace onebox::cache
