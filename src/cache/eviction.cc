#include "cache/eviction.h"

#include "cache/queues.h"

namespace onebox::cache {
namespace {

constexpr std::uint8_t kUsesMax = 3;
constexpr std::uint32_t kSmallShare = 10;  // of the blocks, one in so many

void MoveToMain(ShardMemory& shard, std::uint32_t block) {
  shm::Mutation mutation(shard.undo(), shard.bytes());
  RemoveFromQueue(shard, mutation, block);
  AppendToQueue(shard, mutation, block, Queue::kMain);
}

}  // namespace

Queue QueueForNew(ShardMemory& shard, std::uint64_t hash) {
  (void)shard, (void)hash;
  return Queue::kSmall;
}

void NoteUse(ShardMemory& /*shard*/, Entry& entry) {
  if (entry.uses < kUsesMax) ++entry.uses;
}

std::uint32_t ChooseVictim(ShardMemory& shard) {
  while (!shard.broken()) {
    const QueueHead& small = HeadOf(shard, Queue::kSmall);
    const QueueHead& main = HeadOf(shard, Queue::kMain);
    const bool from_small =
        small.oldest != kNoBlock &&
        (small.blocks >= shard.blocks() / kSmallShare || main.oldest == kNoBlock);
    const std::uint32_t block = from_small ? small.oldest : main.oldest;
    if (block == kNoBlock) return kNoBlock;
    Entry& entry = shard.EntryAt(block);
    if (entry.uses == 0) return block;
    entry.uses = from_small ? 0 : entry.uses - 1;
    MoveToMain(shard, block);
  }
  return kNoBlock;
}

}  // namespace onebox::cache
