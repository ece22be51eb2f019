#include "cache/blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace onebox::cache {
namespace {

// How many runs that are too short are passed over before the longest of them is taken.
constexpr int kRunsSeenMax = 64;
// What is left of a run that is this much longer is no crumb.
constexpr std::uint32_t kMuchLonger = 32;
constexpr std::uint32_t kBitsPerWord = 64;
constexpr std::uint64_t kAllTaken = ~std::uint64_t{0};

struct Run {
  std::uint32_t first = 0, blocks = 0;
};

// The free run that begins at or after `from`, of up to `want` blocks; none: blocks is 0.
Run FindRunAfter(std::span<const std::uint64_t> map, std::uint32_t from, std::uint32_t want) {
  std::size_t word = from / kBitsPerWord;
  if (word >= map.size()) return {};
  std::uint64_t taken = map[word] | ((std::uint64_t{1} << (from % kBitsPerWord)) - 1);
  while (taken == kAllTaken) {
    if (++word == map.size()) return {};
    taken = map[word];
  }
  const auto bit = static_cast<std::uint32_t>(std::countr_one(taken));
  Run run{static_cast<std::uint32_t>(word) * kBitsPerWord + bit, 0};
  std::uint64_t from_bit = map[word] >> bit;
  std::uint32_t bits = kBitsPerWord - bit;
  while (true) {
    const auto free = std::min(static_cast<std::uint32_t>(std::countr_zero(from_bit)), bits);
    run.blocks += free;
    if (run.blocks >= want || free < bits || ++word == map.size()) break;
    from_bit = map[word];
    bits = kBitsPerWord;
  }
  run.blocks = std::min(run.blocks, want);
  return run;
}

// Of the next few: one of exactly `want` blocks, else the first that is longer, else the longest. What is
// cut from a longer one leaves a crumb, which hardly anything fits in.
Run FindRun(ShardMemory& shard, std::uint32_t want) {
  const auto map = shard.map();
  const std::uint32_t begin =
      shard.head().search_from < map.size() ? shard.head().search_from * kBitsPerWord : 0;
  Run best;
  std::uint32_t from = begin;
  bool wrapped = false;
  for (int seen = 0; seen < kRunsSeenMax; ++seen) {
    const Run run = FindRunAfter(map, from, want + kMuchLonger);
    if (run.blocks == 0) {
      if (wrapped) break;
      wrapped = true;
      from = 0;
      continue;
    }
    if (run.blocks == want || run.blocks == want + kMuchLonger) return {run.first, want};
    const bool first_that_fits = run.blocks > want && best.blocks < want;
    const bool longer = best.blocks < want && run.blocks > best.blocks;
    if (first_that_fits || longer) best = run;
    from = run.first + run.blocks;
  }
  best.blocks = std::min(best.blocks, want);
  return best;
}

void SetBits(ShardMemory& shard, shm::Mutation& mutation, Run run, bool taken) {
  const auto map = shard.map();
  while (run.blocks > 0) {
    const std::uint32_t bit = run.first % kBitsPerWord;
    const std::uint32_t bits = std::min(kBitsPerWord - bit, run.blocks);
    const std::uint64_t mask = (bits == kBitsPerWord ? kAllTaken : (std::uint64_t{1} << bits) - 1)
                               << bit;
    std::uint64_t& word = map[run.first / kBitsPerWord];
    shard.Check((word & mask) == (taken ? 0 : mask));
    mutation.Set(word, taken ? word | mask : word & ~mask);
    run.first += bits;
    run.blocks -= bits;
  }
}

}  // namespace

std::uint32_t BlocksFor(std::size_t bytes) {
  return static_cast<std::uint32_t>((sizeof(Entry) + bytes + kBlockBytes - 1) / kBlockBytes);
}

std::size_t TakeRun(ShardMemory& shard, std::size_t bytes) {
  const std::size_t wanted = (bytes + sizeof(Extent) + kBlockBytes - 1) / kBlockBytes;
  const Run run =
      FindRun(shard, static_cast<std::uint32_t>(std::min<std::size_t>(wanted, Extent::kBlocksMax)));
  if (run.blocks == 0) {
    shard.Check(shard.head().free_blocks == 0);
    return 0;
  }
  ShardHead& head = shard.head();
  head.search_from = run.first / kBitsPerWord;
  if (!shard.Check(head.free_blocks >= run.blocks && run.first != kNoBlock &&
                   run.blocks <= shard.blocks() && run.first <= shard.blocks() - run.blocks)) {
    return 0;
  }
  shm::Mutation mutation = shard.Change();
  SetBits(shard, mutation, run, true);
  mutation.Set(shard.NewExtentAt(run.first), Extent(head.being_made, run.blocks));
  mutation.Set(head.free_blocks, head.free_blocks - run.blocks);
  mutation.Set(head.being_made, run.first);
  return shard.RunAt(run.first).bytes().size();
}

void FreeDiscarded(ShardMemory& shard) {
  ShardHead& head = shard.head();
  while (head.discarded != kNoBlock && !shard.broken()) {
    const std::uint32_t first = head.discarded;
    const Extent extent = shard.RunAt(first).extent;
    if (shard.broken()) return;
    shm::Mutation mutation = shard.Change();
    SetBits(shard, mutation, {first, extent.blocks()}, false);
    mutation.Set(head.free_blocks, head.free_blocks + extent.blocks());
    mutation.Set(head.discarded, extent.next());
  }
}

void DiscardWhatWasBeingMade(ShardMemory& shard) {
  FreeDiscarded(shard);
  shm::Mutation mutation = shard.Change();
  mutation.Set(shard.head().discarded, shard.head().being_made);
  mutation.Set(shard.head().being_made, kNoBlock);
}

ChainCursor::ChainCursor(ShardMemory& shard, std::uint32_t block) : shard_(shard) {
  const ShardMemory::Run run = shard.RunAt(block);
  next_ = run.extent.next();
  left_ = run.bytes().subspan(sizeof(Entry) - sizeof(Extent));
}

template <typename Each>
void ChainCursor::Walk(std::size_t bytes, Each each) {
  while (bytes > 0) {
    if (left_.empty()) {
      if (!shard_.Check(next_ != kNoBlock)) return;
      const ShardMemory::Run run = shard_.RunAt(next_);
      next_ = run.extent.next();
      left_ = run.bytes();
    }
    const std::size_t size = std::min(bytes, left_.size());
    if (!each(left_.first(size))) return;
    left_ = left_.subspan(size);
    bytes -= size;
  }
}

void ChainCursor::Skip(std::size_t bytes) {
  Walk(bytes, [](std::span<std::byte>) { return true; });
}

void ChainCursor::Read(std::byte* to, std::size_t bytes) {
  Walk(bytes, [&to](std::span<std::byte> part) {
    std::memcpy(to, part.data(), part.size());
    to += part.size();
    return true;
  });
}

void ChainCursor::AppendTo(std::string& to, std::size_t bytes) {
  Walk(bytes, [&to](std::span<std::byte> part) {
    to.append(reinterpret_cast<const char*>(part.data()), part.size());
    return true;
  });
}

bool ChainCursor::Equals(const std::byte* other, std::size_t bytes) {
  bool equal = true;
  Walk(bytes, [&](std::span<std::byte> part) {
    equal = std::memcmp(other, part.data(), part.size()) == 0;
    other += part.size();
    return equal;
  });
  return equal && !shard_.broken();
}

void ChainCursor::Write(const std::byte* from, std::size_t bytes) {
  Walk(bytes, [&from](std::span<std::byte> part) {
    std::memcpy(part.data(), from, part.size());
    from += part.size();
    return true;
  });
}

void ChainCursor::Overwrite(shm::Mutation& mutation, const std::byte* from, std::size_t bytes) {
  Walk(bytes, [&](std::span<std::byte> part) {
    mutation.Write(part.data(), std::as_bytes(std::span(from, part.size())));
    from += part.size();
    return true;
  });
}

}  // namespace onebox::cache
