#pragma once
// Eviction: which entry gives way when room is needed (docs/decisions/0020-what-the-cache-evicts.md).

#include <cstdint>

#include "cache/shard_memory.h"

namespace onebox::cache {

// W-TinyLFU (Einziger, Friedman, Manes: TinyLFU, ACM Transactions on Storage 13(4), 2017) with nothing to
// move when an entry is asked for. New entries come into the window, a fiftieth of the room. Who is to
// leave it must be asked for more often than who would give way for it in the main part, which has two
// queues: probation, and protected for who was asked for while it was there. All three are first in,
// first out; whether an entry was asked for meanwhile is seen when its turn comes. How often an entry was
// asked for is counted in itself, and goes to a sketch when it leaves, for when it comes back. Counts
// are halved with each epoch: so what was wanted yesterday gives way.
//
// Times are ns of the steady clock.

// Somebody asks for an entry, whether it is there or not.
void NoteAsked(ShardMemory& shard);
// It is there.
void NoteUse(ShardMemory& shard, Entry& entry);

// How often, as far as is remembered, from 0 to 15.
std::uint8_t FrequencyOf(ShardMemory& shard, const Entry& entry);
std::uint8_t FrequencyOfNew(ShardMemory& shard, std::uint64_t hash);

void BeginCounting(ShardMemory& shard, Entry& entry);
// An entry in the place of another.
void ContinueCounting(ShardMemory& shard, const Entry& before, Entry& entry);
void NoteEvicted(ShardMemory& shard, std::uint64_t hash, std::uint8_t frequency);

// Whether the window is large enough for an entry of that size; else it goes by the window.
bool FitsWindow(ShardMemory& shard, std::uint32_t blocks);
// Who is to leave the window when so many blocks come into it; kNoBlock where there is room for them.
std::uint32_t LeavesWindow(ShardMemory& shard, std::uint32_t blocks);
// Whether so many blocks more have room in the main part.
bool FitsMain(ShardMemory& shard, std::uint32_t blocks);
// Who would give way of the main part; kNoBlock where it is empty.
std::uint32_t OldestOfMain(ShardMemory& shard, std::int64_t now);
// The same, or of the window where that is empty.
std::uint32_t Oldest(ShardMemory& shard, std::int64_t now);
// Whether the entry that leaves the window takes the room of the other.
bool Wins(ShardMemory& shard, std::uint32_t candidate, std::uint32_t other, std::int64_t now);
bool WinsAgainst(ShardMemory& shard, std::uint8_t frequency, std::uint32_t other, std::int64_t now);
// From the window, or from wherever it is in the main part.
void MoveToMain(ShardMemory& shard, std::uint32_t block);
inline void MakeYoung(ShardMemory& shard, std::uint32_t block) {
  MoveToMain(shard, block);
}

}  // namespace onebox::cache
