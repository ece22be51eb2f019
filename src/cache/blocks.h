#pragma once
// The blocks of a shard: taken as runs for an entry that is being made, given back one run at a time.

#include <cstddef>
#include <cstdint>
#include <string>

#include "cache/shard_memory.h"

namespace onebox::cache {

// An entry's bytes lie in a chain of runs, so that room is never wasted by its shape: one run where
// there is one of that size near by, else several. Each call is one or more Mutations, each of which
// leaves every block in exactly one place: free, in an entry, in the chain that is being made, or in
// the discarded one.

// How many blocks an entry has, in one run, with that many bytes behind it.
std::uint32_t BlocksFor(std::size_t bytes);

// Adds one run to the chain that is being made, of up to as many blocks as that many bytes need: how
// many bytes it holds. 0 where no block is free. The last that is taken is the first of the chain.
std::size_t TakeRun(ShardMemory& shard, std::size_t bytes);

// Gives all of the discarded chain back.
void FreeDiscarded(ShardMemory& shard);

// What a holder who died has left of the chain that he was making.
void DiscardWhatWasBeingMade(ShardMemory& shard);

// Walks a chain from its first extent, byte by byte.
class ChainCursor final {
 public:
  ChainCursor(ShardMemory& shard, std::uint32_t block);

  void Skip(std::size_t bytes);
  void Read(std::byte* to, std::size_t bytes);
  void AppendTo(std::string& to, std::size_t bytes);
  bool Equals(const std::byte* other, std::size_t bytes);
  // Into blocks that nobody reads yet.
  void Write(const std::byte* from, std::size_t bytes);
  // Into an entry that others know.
  void Overwrite(shm::Mutation& mutation, const std::byte* from, std::size_t bytes);

 private:
  template <typename Each>
  void Walk(std::size_t bytes, Each each);

  ShardMemory& shard_;
  std::uint32_t next_ = kNoBlock;
  std::span<std::byte> left_;
};

}  // namespace onebox::cache
