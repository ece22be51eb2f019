#include "cache/eviction.h"

#include <algorithm>
#include <array>

#include "cache/queues.h"

namespace onebox::cache {
namespace {

constexpr std::uint32_t kWindowShare = 50;     // of the room, one part in so many
constexpr std::uint32_t kProtectedTenths = 8;  // of the main part
// One block in so many stays free: among as many gaps there is one that fits, where in a full shard an
// entry would be put together from many.
constexpr std::uint32_t kReserveShare = 64;
constexpr std::uint32_t kAskedPerEntry = 10;  // in an epoch
constexpr std::uint32_t kEntriesMin = 16;     // where there are fewer, an epoch would be nothing
constexpr std::uint8_t kUsesMax = 15;
constexpr std::uint8_t kUses = 0x0f;
constexpr std::uint8_t kTouched = 0x80;
constexpr std::size_t kRowsOfSketch = 4;
constexpr std::uint64_t kLowBitOfEachCell = 0x1111'1111'1111'1111;

// Of the room that what is kept leaves.
std::uint32_t RoomForAll(ShardMemory& shard) {
  const std::uint32_t reserve = shard.blocks() / kReserveShare;
  const std::uint32_t kept = HeadOf(shard, Queue::kKept).blocks;
  return shard.blocks() - std::min(kept + reserve, shard.blocks());
}
std::uint32_t RoomOfMain(ShardMemory& shard) {
  return RoomForAll(shard) - RoomForAll(shard) / kWindowShare;
}

// A cell is four bits. Those of one entry lie in one line, two words for each row.
struct Cell {
  std::uint64_t* word;
  unsigned shift;

  std::uint8_t value() const { return static_cast<std::uint8_t>(*word >> shift & kUses); }
  void Set(std::uint8_t value) const {
    *word = (*word & ~(std::uint64_t{kUses} << shift)) | std::uint64_t{value} << shift;
  }
};

std::array<Cell, kRowsOfSketch> CellsOf(ShardMemory& shard, std::uint64_t hash) {
  const auto sketch = shard.sketch();
  // The lowest bits have chosen the bucket, the highest the shard.
  const std::uint64_t line = hash >> 24 & (sketch.size() / kSketchLineWords - 1);
  std::uint64_t* words = &sketch[line * kSketchLineWords];
  std::array<Cell, kRowsOfSketch> cells{};
  for (std::size_t row = 0; row < kRowsOfSketch; ++row) {
    const std::uint64_t bits = hash >> (5 * row);
    cells[row] = {words + 2 * row + (bits & 1), static_cast<unsigned>(bits >> 1 & 15) * 4};
  }
  return cells;
}

void Move(ShardMemory& shard, std::uint32_t block, Queue queue) {
  shm::Mutation mutation = shard.Change();
  RemoveFromQueue(shard, mutation, block);
  AppendToQueue(shard, mutation, block, queue);
}

bool TakeTouch(Entry& entry) {
  const bool touched = (entry.uses & kTouched) != 0;
  entry.uses &= kUses;
  return touched;
}

// The oldest of the protected that was not asked for meanwhile is on probation again.
void Demote(ShardMemory& shard) {
  for (std::uint32_t left = HeadOf(shard, Queue::kProtected).entries; left > 0; --left) {
    const std::uint32_t block = OldestOf(shard, Queue::kProtected);
    if (!shard.Check(block != kNoBlock)) return;
    const bool stays = TakeTouch(shard.EntryAt(block)) && left > 1;
    Move(shard, block, stays ? Queue::kProtected : Queue::kProbation);
    if (!stays) return;
  }
}

}  // namespace

void NoteAsked(ShardMemory& shard) {
  ShardHead& head = shard.head();
  std::uint32_t entries = 0;
  for (const QueueHead& queue : head.queues)
    entries += queue.entries;
  entries -= HeadOf(shard, Queue::kKept).entries;
  if (++head.asked < kAskedPerEntry * std::max(entries, kEntriesMin)) return;
  head.asked = 0;
  ++head.epoch;
  for (std::uint64_t& word : shard.sketch())
    word = word >> 1 & ~(kLowBitOfEachCell << 3);
}

void NoteUse(ShardMemory& shard, Entry& entry) {
  const auto uses = static_cast<std::uint8_t>(FrequencyOf(shard, entry) + 1);
  entry.uses = std::min(uses, kUsesMax) | kTouched;
  entry.epoch = shard.head().epoch;
}

std::uint8_t FrequencyOf(ShardMemory& shard, const Entry& entry) {
  const auto epochs = static_cast<std::uint8_t>(shard.head().epoch - entry.epoch);
  return static_cast<std::uint8_t>((entry.uses & kUses) >> std::min<std::uint8_t>(epochs, 7));
}

std::uint8_t FrequencyOfNew(ShardMemory& shard, std::uint64_t hash) {
  std::uint8_t before = kUsesMax;
  for (const Cell& cell : CellsOf(shard, hash))
    before = std::min(before, cell.value());
  return std::min<std::uint8_t>(before + 1, kUsesMax);
}

void BeginCounting(ShardMemory& shard, Entry& entry) {
  entry.uses = FrequencyOfNew(shard, entry.hash);
  entry.epoch = shard.head().epoch;
}

void ContinueCounting(ShardMemory& shard, const Entry& before, Entry& entry) {
  entry.uses = before.uses;
  entry.epoch = before.epoch;
  entry.hits = before.hits;
  NoteUse(shard, entry);
}

void NoteEvicted(ShardMemory& shard, std::uint64_t hash, std::uint8_t frequency) {
  for (const Cell& cell : CellsOf(shard, hash))
    cell.Set(std::max(cell.value(), frequency));
}

bool FitsWindow(ShardMemory& shard, std::uint32_t blocks) {
  return blocks <= RoomForAll(shard) / kWindowShare;
}

std::uint32_t LeavesWindow(ShardMemory& shard, std::uint32_t blocks) {
  const QueueHead& window = HeadOf(shard, Queue::kWindow);
  return window.blocks + blocks > RoomForAll(shard) / kWindowShare ? OldestOf(shard, Queue::kWindow)
                                                                   : kNoBlock;
}

bool FitsMain(ShardMemory& shard, std::uint32_t blocks) {
  const std::uint32_t main =
      HeadOf(shard, Queue::kProbation).blocks + HeadOf(shard, Queue::kProtected).blocks;
  return main + blocks <= RoomOfMain(shard);
}

std::uint32_t Oldest(ShardMemory& shard, std::int64_t now) {
  const std::uint32_t block = OldestOfMain(shard, now);
  return block != kNoBlock ? block : OldestOf(shard, Queue::kWindow);
}

std::uint32_t OldestOfMain(ShardMemory& shard, std::int64_t now) {
  const QueueHead& protected_ones = HeadOf(shard, Queue::kProtected);
  while (!shard.broken()) {
    std::uint32_t block = OldestOf(shard, Queue::kProbation);
    if (block == kNoBlock) {
      Demote(shard);
      block = OldestOf(shard, Queue::kProbation);
    }
    if (block == kNoBlock) return kNoBlock;
    Entry& entry = shard.EntryAt(block);
    if (!TakeTouch(entry) || entry.expires <= now) return block;
    Move(shard, block, Queue::kProtected);
    const std::uint32_t protected_max = RoomOfMain(shard) / 10 * kProtectedTenths;
    while (protected_ones.blocks > protected_max && protected_ones.entries > 1 && !shard.broken())
      Demote(shard);
  }
  return kNoBlock;
}

bool WinsAgainst(ShardMemory& shard,
                 std::uint8_t frequency,
                 std::uint32_t other,
                 std::int64_t now) {
  const Entry& victim = shard.EntryAt(other);
  return victim.expires <= now || frequency > FrequencyOf(shard, victim);
}

bool Wins(ShardMemory& shard, std::uint32_t candidate, std::uint32_t other, std::int64_t now) {
  const Entry& entry = shard.EntryAt(candidate);
  if (entry.expires <= now) return false;
  return (entry.uses & kTouched) != 0 || WinsAgainst(shard, FrequencyOf(shard, entry), other, now);
}

void MoveToMain(ShardMemory& shard, std::uint32_t block) {
  TakeTouch(shard.EntryAt(block));
  Move(shard, block, Queue::kProbation);
}

}  // namespace onebox::cache
