#include "cache/shard_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace onebox::cache {
namespace {

// Small entries take two to four blocks with their keys, large ones more: with one bucket for every two
// blocks a chain is hardly ever longer than two.
constexpr std::uint32_t kBlocksPerBucket = 2;
// One byte of sketch for each block: a line of it for 64.
constexpr std::uint32_t kBlocksPerSketchLine = 64;

std::size_t RoundUp(std::size_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

ShardPlan PlanBlocks(std::uint32_t blocks) {
  ShardPlan plan;
  plan.blocks = blocks;
  plan.buckets = std::bit_floor(blocks / kBlocksPerBucket);
  plan.sketch_lines = std::bit_floor(blocks / kBlocksPerSketchLine);
  plan.map_at = RoundUp(sizeof(ShardHead));
  plan.buckets_at = RoundUp(plan.map_at + (blocks + 63) / 64 * sizeof(std::uint64_t));
  plan.sketch_at = RoundUp(plan.buckets_at + plan.buckets * sizeof(std::uint32_t));
  plan.blocks_at = plan.sketch_at + plan.sketch_lines * kBlockBytes;
  return plan;
}

}  // namespace

ShardPlan PlanShard(std::size_t shard_bytes) {
  CHECK(shard_bytes >= kShardBytesMin && shard_bytes <= kShardBytesMax);
  auto blocks = static_cast<std::uint32_t>(shard_bytes / kBlockBytes);
  ShardPlan plan = PlanBlocks(blocks);
  while (plan.blocks_at + std::size_t{plan.blocks} * kBlockBytes > shard_bytes) {
    const std::size_t over = plan.blocks_at + std::size_t{plan.blocks} * kBlockBytes - shard_bytes;
    blocks -= std::max<std::uint32_t>(1, static_cast<std::uint32_t>(over / (2 * kBlockBytes)));
    plan = PlanBlocks(blocks);
  }
  return plan;
}

ShardMemory::ShardMemory(std::span<std::byte> bytes)
    : bytes_(bytes), plan_(PlanShard(bytes.size())) {}

ShardMemory::Run ShardMemory::RunAt(std::uint32_t block) {
  if (block != kNoBlock && block < plan_.blocks) {
    const Run run{BlockAt(block), *reinterpret_cast<Extent*>(BlockAt(block))};
    if (run.extent.blocks() != 0 && run.extent.blocks() <= plan_.blocks - block) return run;
  }
  Check(false);
  return {BlockAt(0), Extent(kNoBlock, 1)};
}

bool ShardMemory::CountsAgree() {
  std::size_t free = 0;
  for (const std::uint64_t word : map())
    free += static_cast<std::size_t>(std::popcount(~word));
  std::size_t counted = head().free_blocks;
  for (const QueueHead& queue : head().queues)
    counted += queue.blocks;
  std::uint32_t block = head().being_made;
  for (std::uint32_t steps = 0; block != kNoBlock && !broken_ && steps < plan_.blocks; ++steps) {
    const Extent extent = RunAt(block).extent;
    counted += extent.blocks();
    block = extent.next();
  }
  return Check(free == head().free_blocks && counted == plan_.blocks - 1);
}

void ShardMemory::Begin() {
  ShardHead& shard = head();
  shard.free_blocks = plan_.blocks - 1;
  map()[0] = 1;  // block 0
  for (std::uint32_t beyond = plan_.blocks; beyond % 64 != 0; ++beyond)
    map().back() |= std::uint64_t{1} << (beyond % 64);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  shard.whole = 1;
}

void ShardMemory::Reset() {
  ShardHead& shard = head();
  // Counts of what has been stay, and so does the lock, which is ours.
  shard.whole = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // whoever finds it so begins again
  shard.being_made = shard.discarded = kNoBlock;
  shard.claims = 0;
  shard.queues = {};
  shard.search_from = shard.asked = 0;
  shard.epoch = 0;
  shard.kept_full_until = 0;
  std::ranges::fill(map(), 0);
  std::ranges::fill(buckets(), kNoBlock);
  std::ranges::fill(sketch(), 0);
  undo().Forget();
  broken_ = false;
  Begin();
}

}  // namespace onebox::cache
