#pragma once
// The queues of a shard: every entry is in one, in the order in which they came.

#include <cstdint>

#include "cache/shard_memory.h"

namespace onebox::cache {

void AppendToQueue(ShardMemory& shard, shm::Mutation& mutation, std::uint32_t block, Queue queue);
void RemoveFromQueue(ShardMemory& shard, shm::Mutation& mutation, std::uint32_t block);
// `with` is in no queue yet.
void ReplaceInQueue(ShardMemory& shard,
                    shm::Mutation& mutation,
                    std::uint32_t block,
                    std::uint32_t with);

inline QueueHead& HeadOf(ShardMemory& shard, Queue queue) {
  return shard.head().queues[static_cast<std::size_t>(queue)];
}
// kNoBlock where it is empty. Who takes this one out again and again comes to an end.
std::uint32_t OldestOf(ShardMemory& shard, Queue queue);

}  // namespace onebox::cache
