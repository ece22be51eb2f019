#pragma once
// ShardMemory: the parts of a shard's memory, found and checked.

#include <cstddef>
#include <cstdint>
#include <span>

#include "cache/layout.h"
#include "shm/undo_log.h"

namespace onebox::cache {

// How a shard of some size is divided: the head, a bit for each block, the buckets, the eviction's
// sketch, the blocks.
struct ShardPlan {
  std::uint32_t blocks = 0;        // block 0 included
  std::uint32_t buckets = 0;       // a power of two
  std::uint32_t sketch_lines = 0;  // of 64 bytes; a power of two
  std::size_t map_at = 0, buckets_at = 0, sketch_at = 0, blocks_at = 0;
};
inline constexpr std::size_t kSketchLineWords = 8;
// REQUIRES: shard_bytes is kShardBytesMin to kShardBytesMax.
ShardPlan PlanShard(std::size_t shard_bytes);
inline constexpr std::size_t kShardBytesMin = std::size_t{256} << 10;
inline constexpr std::size_t kShardBytesMax = std::size_t{kBlocksMax} * kBlockBytes;

// Whatever is read is checked before it leads anywhere, since a process may have scribbled over it: what
// makes no sense is said once by broken(), and leads to block 0, which is nobody's. All of it under the
// shard's lock.
class ShardMemory final {
 public:
  explicit ShardMemory(std::span<std::byte> bytes);

  ShardHead& head() { return *reinterpret_cast<ShardHead*>(bytes_.data()); }
  std::span<std::uint64_t> map() { return Words<std::uint64_t>(plan_.map_at, MapWords()); }
  std::span<std::uint32_t> buckets() {
    return Words<std::uint32_t>(plan_.buckets_at, plan_.buckets);
  }
  std::span<std::uint64_t> sketch() {
    return Words<std::uint64_t>(plan_.sketch_at, plan_.sketch_lines * kSketchLineWords);
  }
  std::uint32_t blocks() const { return plan_.blocks; }
  std::span<std::byte> bytes() { return bytes_; }
  shm::UndoLog& undo() { return head().undo; }

  std::uint32_t& BucketOf(std::uint64_t hash) {
    return buckets()[static_cast<std::uint32_t>(hash) & (plan_.buckets - 1)];
  }
  QueueHead& QueueOf(const Entry& entry) {
    return head().queues[Check(static_cast<std::size_t>(entry.queue) < kQueues)
                             ? static_cast<std::size_t>(entry.queue)
                             : 0];
  }

  // The run that begins at a block, which lies within the shard as a whole.
  Extent& ExtentAt(std::uint32_t block);
  // REQUIRES: the block is the shard's.
  Extent& NewExtentAt(std::uint32_t block) { return *reinterpret_cast<Extent*>(BlockAt(block)); }
  Entry& EntryAt(std::uint32_t block);
  // What an extent holds behind its head.
  std::span<std::byte> BytesOf(Extent& extent);

  // Remembers that something made no sense.
  bool Check(bool makes_sense) {
    if (!makes_sense) broken_ = true;
    return makes_sense;
  }
  bool broken() const { return broken_; }

  // Empty, as new.
  void Reset();

 private:
  std::size_t MapWords() const { return (plan_.blocks + 63) / 64; }
  std::byte* BlockAt(std::uint32_t block) {
    return bytes_.data() + plan_.blocks_at + std::size_t{block} * kBlockBytes;
  }
  template <typename Word>
  std::span<Word> Words(std::size_t at, std::size_t count) {
    return {reinterpret_cast<Word*>(bytes_.data() + at), count};
  }

  std::span<std::byte> bytes_;
  ShardPlan plan_;
  bool broken_ = false;
};

}  // namespace onebox::cache
