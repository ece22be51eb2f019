#include "cache/queues.h"

namespace onebox::cache {
namespace {

void Count(shm::Mutation& mutation, QueueHead& head, const Entry& entry, bool added) {
  const std::uint32_t sign = added ? 1U : ~0U;  // modulo 2^32
  mutation.Set(head.blocks, head.blocks + sign * entry.blocks);
  mutation.Set(head.entries, head.entries + sign);
}

// The word that leads to who comes after `block`'s older neighbour, and the one before the newer.
std::uint32_t& FromOlder(ShardMemory& shard, QueueHead& head, const Entry& entry) {
  return entry.older == kNoBlock ? head.oldest : shard.EntryAt(entry.older).newer;
}
std::uint32_t& FromNewer(ShardMemory& shard, QueueHead& head, const Entry& entry) {
  return entry.newer == kNoBlock ? head.newest : shard.EntryAt(entry.newer).older;
}

}  // namespace

std::uint32_t OldestOf(ShardMemory& shard, Queue queue) {
  const std::uint32_t block = HeadOf(shard, queue).oldest;
  if (block == kNoBlock) return kNoBlock;
  const Entry& entry = shard.EntryAt(block);
  return shard.Check(entry.queue == queue && entry.older == kNoBlock) ? block : kNoBlock;
}

void AppendToQueue(ShardMemory& shard, shm::Mutation& mutation, std::uint32_t block, Queue queue) {
  Entry& entry = shard.EntryAt(block);
  QueueHead& head = HeadOf(shard, queue);
  std::uint32_t& end = head.newest == kNoBlock ? head.oldest : shard.EntryAt(head.newest).newer;
  shard.Check(end == kNoBlock);
  mutation.Set(entry.queue, queue);
  mutation.Set(entry.older, head.newest);
  mutation.Set(entry.newer, kNoBlock);
  mutation.Set(end, block);
  mutation.Set(head.newest, block);
  Count(mutation, head, entry, true);
}

void RemoveFromQueue(ShardMemory& shard, shm::Mutation& mutation, std::uint32_t block) {
  const Entry& entry = shard.EntryAt(block);
  QueueHead& head = shard.QueueOf(entry);
  std::uint32_t& from_older = FromOlder(shard, head, entry);
  std::uint32_t& from_newer = FromNewer(shard, head, entry);
  shard.Check(from_older == block && from_newer == block);
  mutation.Set(from_older, entry.newer);
  mutation.Set(from_newer, entry.older);
  Count(mutation, head, entry, false);
}

void ReplaceInQueue(ShardMemory& shard,
                    shm::Mutation& mutation,
                    std::uint32_t block,
                    std::uint32_t with) {
  const Entry& entry = shard.EntryAt(block);
  Entry& replacement = shard.EntryAt(with);
  QueueHead& head = shard.QueueOf(entry);
  std::uint32_t& from_older = FromOlder(shard, head, entry);
  std::uint32_t& from_newer = FromNewer(shard, head, entry);
  shard.Check(from_older == block && from_newer == block);
  mutation.Set(replacement.queue, entry.queue);
  mutation.Set(replacement.older, entry.older);
  mutation.Set(replacement.newer, entry.newer);
  mutation.Set(from_older, with);
  mutation.Set(from_newer, with);
  Count(mutation, head, entry, false);
  Count(mutation, head, replacement, true);
}

}  // namespace onebox::cache
