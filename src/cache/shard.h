#pragma once
// Shard: a part of the cache, with its own lock, memory and eviction.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cache/shard_memory.h"

namespace onebox::cache {

// A key, hashed. The bytes outlive the call; up to kKeyBytesMax.
struct Key {
  std::string_view bytes;
  std::uint64_t hash = 0;
  std::uint8_t row = 0;  // of the statistics
};
inline constexpr std::size_t kKeyBytesMax = 4096;
inline constexpr std::size_t kTagsMax = 16;

// What the bytes of a value are. In shared memory: append, never renumber.
inline constexpr std::uint8_t kBytesCodec = 0;
inline constexpr std::uint8_t kTextCodec = 1;  // UTF-8
inline constexpr std::uint8_t kJsonCodec = 2;
inline constexpr std::uint8_t kPickleCodec = 3;
inline constexpr std::uint8_t kClaimCodec = 254;  // a Claim: ours alone
inline constexpr std::uint8_t kNumberCodec =
    255;  // 8 bytes, as this machine has them: may be added to

// How long something is there. No time as `expires`: for ever.
struct Lifetime {
  std::optional<Time> expires = {};
  std::optional<Time> fresh = {};  // until then; nothing: as long as it is there
};

// Whether what is there may give way when room is needed.
enum class Keep : unsigned char { kWhileThereIsRoom, kUntilItExpires };

struct NewValue {
  std::string_view bytes;
  std::uint8_t codec = 0;
  Lifetime lifetime = {};
  Keep keep = Keep::kWhileThereIsRoom;
  std::span<const TagMark> tags = {};  // up to kTagsMax
  Origin origin = {};
};

struct Value {
  std::string bytes;
  std::uint8_t codec = 0;
  std::optional<Time> expires = {};
};

// What is asked of what is there before it is changed.
struct Condition {
  enum class Presence : unsigned char { kAny, kAbsent, kPresent };
  Presence presence = Presence::kAny;
  std::optional<std::string_view> equals = {};  // its bytes, if it is there
  std::uint8_t codec = 0;                       // and what these are
};

enum class Outcome : unsigned char {
  kDone,
  kRefused,     // the condition does not hold
  kTooLarge,    // larger than this cache takes; a cached value that it was to replace is gone
  kFull,        // no room, for what is kept and for what would have to give way to it
  kNotANumber,  // there is something else
  kOutOfRange,  // the sum is none of 64 bits
  kBusy,        // another process has the lock, and does not go on
};

enum class Answer : unsigned char { kFresh, kStale, kAbsent, kBusy };

// Who loads a value that is not there, or is stale.
struct Claim {
  std::uint64_t token = 0;    // never 0, and another for each claim
  std::uint64_t process = 0;  // its pid
};

// All but Format() and Lock(): by who holds the lock. No copy is another shard's: several objects may
// stand for the same memory.
class Shard final {
 public:
  // Memory that lasts as long, aligned to 64 bytes; `cells`: the generations of all tags; `trust`: in
  // what came from Redis.
  Shard(std::span<std::byte> bytes,
        std::span<const std::atomic<std::uint32_t>> cells,
        const redis::Trust& trust)
      : memory_(bytes), cells_(cells), trust_(&trust) {}

  // New memory, zero bytes, before anybody else knows it.
  void Format();

  // False where another has had it for longer than `patience`, or somebody else found that within the last
  // second. What a dead holder left is put in order.
  bool Lock(Duration patience, Time now);
  // The same, whatever somebody else found.
  bool LockPatiently(Duration patience);
  bool TryLock();
  void Unlock();
  // What Lock() does where the holder before has died: undoes or completes what he had begun.
  void PutInOrder();
  // Those who wait for one of its keys are to look again. Whether there are any: they are to be woken.
  bool RaiseTurn();

  std::size_t value_bytes_max() { return std::size_t{memory_.blocks()} * kBlockBytes / 4; }

  Answer Get(const Key& key, Time now, Value& value);
  Outcome Set(const Key& key, const NewValue& value, const Condition& condition, Time now);
  // kRefused where it is not there, too.
  Outcome Remove(const Key& key, const Condition& condition, Time now);
  // Unless it is the box's own.
  Outcome Forget(const Key& key);
  bool IsOwn(const Key& key, Time now);
  Outcome Touch(const Key& key, Lifetime lifetime, const Condition& condition, Time now);
  // What is kept whose keys begin so. Gives how many.
  std::size_t RemoveKept(std::string_view prefix);
  // Adds to a number; where nothing is there `initial` is put there first. `sum` with kDone.
  Outcome Add(const Key& key,
              std::int64_t number,
              const NewValue* initial,
              Time now,
              std::int64_t& sum);

  // The claim on a key, where somebody loads it.
  std::optional<Claim> ClaimOf(const Key& key, Time now);
  // Instead of whatever claim there is.
  Outcome SetClaim(const Key& key, Claim claim, Time until, Time now);
  // kRefused where that claim does not stand any more: the key was changed since, or it was too late.
  Outcome Fulfil(const Key& key, std::uint64_t token, const NewValue& value, Time now);
  Outcome GiveUp(const Key& key, std::uint64_t token, Time now);
  // A value for those who do not wait for that claim, which stands.
  Outcome Supply(const Key& key, std::uint64_t token, const NewValue& value, Time now);

  // How it is: for those who look.
  ShardHead& head() { return memory_.head(); }
  ShardMemory& memory() { return memory_; }
  using Each = std::function<void(const Entry& entry, std::string_view key)>;
  void ForEach(Time now, const Each& each);  // of those that are there; claims are not among them
  // The values of what is kept and whose keys begin so.
  void AppendKept(std::string_view prefix, Time now, std::vector<std::string>& values);
  // Whether all that must agree does: every block is in one place, every entry in its bucket and queue.
  bool CheckInvariants();

 private:
  struct Place {
    std::uint32_t block = kNoBlock;
    std::uint32_t* link = nullptr;  // the word that leads to it in its bucket
  };

  bool Concluded(shm::RobustLock::Taken taken);
  Place Find(const Key& key);
  // What has expired stays where it is, and is found no more: the next value for that key takes its
  // place, and with it what the eviction knows of it.
  Place FindThere(const Key& key, Time now);
  bool IsThere(std::uint32_t block, Time now);
  bool Holds(const Condition& condition, std::uint32_t block);
  bool ValueEquals(std::uint32_t block, std::string_view bytes, std::uint8_t codec);
  void ReadValue(std::uint32_t block, std::byte* to, std::size_t bytes);
  bool ReadKey(std::uint32_t block, std::string& key);
  Place PlaceOf(std::uint32_t block);
  void Discard(Place place);
  void DropClaim(const Key& key);
  bool Evict(std::uint32_t block);
  bool Contest(std::uint32_t candidate, Time now);
  // What room is made for. `frequency`: it must be asked for more often than who gives way.
  struct Newcomer {
    std::uint32_t blocks = 0;
    std::optional<std::uint8_t> frequency = {};
  };
  bool MakeRoom(const Newcomer& newcomer, Time now);
  void SweepKept(Time now);
  bool MakeRoomToKeep(const Key& key, std::uint32_t blocks, Time now);
  Outcome Put(const Key& key, const NewValue& value, Time now);
  bool WriteEntry(const Key& key, const NewValue& value, Time now);
  void Link(const Key& key, Keep keep);

  ShardMemory memory_;
  std::span<const std::atomic<std::uint32_t>> cells_;
  const redis::Trust* trust_;
};

}  // namespace onebox::cache
