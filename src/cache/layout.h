#pragma once
// What lies where in the cache's shared memory (docs/internals/cache.md).

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "redis/trust.h"
#include "shm/robust_lock.h"
#include "shm/undo_log.h"

namespace onebox::cache {

// Processes of several versions may map the same memory: a change here is a new version.
inline constexpr std::uint64_t kMagic = 0x31'48'43'58'4f'42'4e'4f;  // "ONBXOCH1"
inline constexpr std::uint32_t kVersion = 3;

inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::uint32_t kNoBlock = 0;  // block 0 of a shard is nobody's
inline constexpr std::size_t kRows = 256;     // of the statistics; row 0 is of all that have none

// At the begin of a run of blocks; its bytes follow.
class Extent {
 public:
  static constexpr std::uint32_t kBlocksMax = (1U << 12) - 1;

  Extent(std::uint32_t next, std::uint32_t blocks) : word_(next << 12 | blocks) {}
  std::uint32_t next() const { return word_ >> 12; }           // the block where the rest is
  std::uint32_t blocks() const { return word_ & kBlocksMax; }  // of this run

 private:
  std::uint32_t word_;
};
static_assert(sizeof(Extent) == 4);
inline constexpr std::uint32_t kBlocksMax = 1U << 20;  // of a shard

// Where an entry waits: for ever, as what is kept; or until it gives way (eviction.h).
enum class Queue : std::uint8_t { kKept, kWindow, kProbation, kProtected };
inline constexpr std::size_t kQueues = 4;

inline constexpr std::int64_t kNever = INT64_MAX;  // when an entry expires

// Where an entry's value comes from, and so when it counts.
class Origin {
 public:
  enum class Kind : std::uint32_t {
    kOwn,    // the box alone has it
    kRedis,  // read from Redis: while its generation holds
    kAlone,  // made while nobody heard from Redis: until somebody does
  };

  Origin() = default;
  static Origin Read(std::uint64_t generation) { return {Kind::kRedis, generation}; }
  static Origin AloneIn(const redis::Trust& trust) {
    // In this order: what was made just before `until` is extended does not count after it.
    const std::uint64_t generation = trust.Generation();
    return {Kind::kAlone, Mixed(generation, trust.until.load(std::memory_order_acquire))};
  }

  Kind kind() const { return static_cast<Kind>(word_ >> kStampBits); }
  bool Counts(const redis::Trust& trust, std::int64_t now) const {
    if (kind() == Kind::kOwn) return true;
    // In this order: who sees that it was extended sees the generation for which it was.
    const std::int64_t until = trust.until.load(std::memory_order_acquire);
    const std::uint64_t generation = trust.Generation();
    if (kind() == Kind::kRedis) return now < until && Origin(kind(), generation) == *this;
    return kind() == Kind::kAlone && now >= until &&
           Origin(kind(), Mixed(generation, until)) == *this;
  }
  bool operator==(const Origin&) const = default;

 private:
  static constexpr std::uint32_t kStampBits = 30;

  Origin(Kind kind, std::uint64_t stamp)
      : word_(static_cast<std::uint32_t>(kind) << kStampBits |
              (static_cast<std::uint32_t>(stamp) & ((1U << kStampBits) - 1))) {}
  static std::uint64_t Mixed(std::uint64_t generation, std::int64_t until) {
    const std::uint64_t mixed =
        (generation + 0x9e37'79b9'7f4a'7c15U * static_cast<std::uint64_t>(until)) *
        0xbf58'476d'1ce4'e5b9U;
    return mixed >> 32;
  }

  std::uint32_t word_;
};
static_assert(sizeof(Origin) == 4 && std::is_trivially_default_constructible_v<Origin>);

// The first block of an entry, which begins its first extent. What belongs to it comes after it, through all
// its extents: marks of its tags, the key, the value.
struct Entry {
  Extent extent;
  std::uint32_t value_bytes;
  std::uint64_t hash;
  std::int64_t expires;        // ns of the steady clock; from then on it is not there
  std::int64_t fresh;          // from then on it is stale
  std::uint32_t in_bucket;     // the next of the same bucket
  std::uint32_t older, newer;  // in its queue
  std::uint32_t hits;
  std::uint32_t blocks;  // of all its extents
  std::uint16_t key_bytes;
  std::uint8_t row;
  std::uint8_t codec;
  std::uint8_t tags;
  Queue queue;
  // Of the eviction: any value is right, so no Mutation.
  std::uint8_t uses;   // the low half: how often; the highest bit: since it was looked at last
  std::uint8_t epoch;  // when they were counted
  Origin origin;
};
static_assert(sizeof(Entry) == kBlockBytes);

// A tag's cell, and what stood in it when the entry was made: purged where that has changed.
struct TagMark {
  std::uint32_t cell;
  std::uint32_t generation;
};

struct QueueHead {
  std::uint32_t oldest, newest;
  std::uint32_t blocks, entries;
};

// Changed under the shard's lock, read without it.
struct RowCounts {
  std::atomic<std::uint64_t> hits, misses, sets, evictions;
};

inline constexpr std::uint32_t kSomebodyWaits = 1;  // of a turn; who raises it wakes them

struct ShardHead {
  shm::RobustLock lock;
  std::atomic<std::uint32_t> turn;  // raised by two when those who wait should look again
  std::uint32_t unused;
  std::atomic<std::int64_t>
      given_up;                       // until then nobody waits for the lock: its holder is stopped
  std::atomic<std::uint64_t> undone;  // how often a holder died within a change
  std::atomic<std::uint64_t> emptied;  // how often what was found here made no sense
  std::uint32_t whole;                 // 0 while all of it is made anew
  // From here on by Mutation alone.
  std::uint32_t free_blocks;
  std::uint32_t being_made;  // extents of an entry that is not yet one
  std::uint32_t discarded;   // extents that are to be freed
  std::uint32_t claims;      // entries that are claims
  std::array<QueueHead, kQueues> queues;
  // Any value is right here: no Mutation.
  std::uint32_t search_from;  // where the last run of blocks was found, in words of the map
  std::uint32_t asked;        // how often since the last epoch began
  std::uint8_t epoch;
  std::int64_t kept_full_until;  // until then no room is looked for among what is kept
  std::array<RowCounts, kRows> rows;
  shm::UndoLog undo;
};

// A name that the statistics speak of; `hash` 0: free.
struct RowName {
  static constexpr std::size_t kBytesMax = 55;
  std::atomic<std::uint64_t> hash;
  std::atomic<std::uint8_t> bytes;  // 0 while it is being written
  std::array<std::atomic<char>, kBytesMax> text;
};

// Of the second level. All zero where there is none.
struct SecondHead {
  static constexpr std::size_t kSettingsBytesMax = 2048;

  alignas(64) redis::Trust trust;  // read at each hit, so by itself
  alignas(
      64) std::atomic<std::uint64_t> purges;  // of tags, counted before the tag's cell is raised
  // Changes that Redis could not be told (each is noted in the cache), and how many of them were made
  // good: where they differ, what Redis has may be old.
  std::atomic<std::uint64_t> lost, settled;
  std::atomic<std::uint64_t> newest_tracker;  // who came last; those before him end
  std::atomic<std::uint32_t> state;           // of the tracking: redis::State
  // Counts, of all processes.
  std::atomic<std::uint64_t> hits, misses, writes;
  std::atomic<std::uint64_t> refusals;   // Redis answered with an error
  std::atomic<std::uint64_t> failures;   // no answer in time
  std::atomic<std::uint64_t> not_asked;  // of them, since others had none before
  std::uint32_t settings_bytes;          // written before others know the memory
  std::array<char, kSettingsBytesMax> settings;
};

struct CacheHead {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t shards;       // a power of two
  std::uint64_t shard_bytes;  // of each, its head included
  std::uint32_t tag_cells;    // a power of two
  std::uint32_t unused;
  std::uint64_t seed;                 // of the hashes: who sends keys does not know it
  std::atomic<std::uint64_t> tokens;  // how many claims there have been
  SecondHead second;
  std::array<RowName, kRows> row_names;
};

}  // namespace onebox::cache
