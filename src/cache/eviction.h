#pragma once
// Eviction: which entry gives way when room is needed (docs/decisions/0020-what-the-cache-evicts.md).

#include <cstdint>

#include "cache/shard_memory.h"

namespace onebox::cache {

// Where a new entry goes.
Queue QueueForNew(ShardMemory& shard, std::uint64_t hash);

// It was asked for, and is there.
void NoteUse(ShardMemory& shard, Entry& entry);

// Who gives way now; kNoBlock where nothing may. Others may change their queues meanwhile.
std::uint32_t ChooseVictim(ShardMemory& shard);

}  // namespace onebox::cache
