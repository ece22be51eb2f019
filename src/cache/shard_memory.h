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
  // What Mutations change: all behind the lock, and what is counted.
  std::span<std::byte> changing() { return bytes_.subspan(offsetof(ShardHead, free_blocks)); }
  shm::Mutation Change() {
    Check(undo().Empty());
    undo().Forget();
    return {undo(), changing()};
  }

  std::uint32_t& BucketOf(std::uint64_t hash) {
    return buckets()[static_cast<std::uint32_t>(hash) & (plan_.buckets - 1)];
  }
  QueueHead& QueueOf(const Entry& entry) {
    return head().queues[Check(static_cast<std::size_t>(entry.queue) < kQueues)
                             ? static_cast<std::size_t>(entry.queue)
                             : 0];
  }

  // A run of blocks that lies within the shard as a whole.
  struct Run {
    std::byte* at = nullptr;
    Extent extent{kNoBlock, 0};

    // What it holds behind its extent.
    std::span<std::byte> bytes() const {
      return {at + sizeof(Extent), extent.blocks() * kBlockBytes - sizeof(Extent)};
    }
  };
  // That which begins at the block.
  Run RunAt(std::uint32_t block);
  Entry& EntryAt(std::uint32_t block) { return *reinterpret_cast<Entry*>(RunAt(block).at); }
  // REQUIRES: the block is the shard's.
  Extent& NewExtentAt(std::uint32_t block) { return *reinterpret_cast<Extent*>(BlockAt(block)); }

  // Remembers that something made no sense.
  bool Check(bool makes_sense) {
    if (!makes_sense) broken_ = true;
    return makes_sense;
  }
  bool broken() const { return broken_; }
  // Whether every block is counted once, as free, in a queue or in the chain that is being made: where no
  // room was found, it may be a count that is to blame.
  bool CountsAgree();

  // Empty: where all of it is zero bytes, of which it touches few; and whatever it is.
  void Begin();
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
