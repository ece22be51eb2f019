#pragma once
// Cache: what all processes of the box remember together.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/common_names.h"
#include "cache/shard.h"
#include "os/fd.h"
#include "os/mapping.h"

namespace onebox::cache {

inline constexpr const char* kMemoryName = "onebox-cache";  // /proc shows it
inline constexpr std::size_t kCacheBytesMin = std::size_t{2} << 20;
inline constexpr std::size_t kCacheBytesMax = std::size_t{1} << 40;

// Whether a call waits for another process that has the lock: kBusy at once; after kPatience; or, for what
// may not be passed over, after kLongPatience. A holder is done within microseconds, unless he does not
// run: on a busy machine for a good part of a second.
enum class Wait : unsigned char { kNot, kForOthers, kPatiently };
inline constexpr Duration kPatience = std::chrono::milliseconds(200);
inline constexpr Duration kLongPatience = std::chrono::seconds(2);

// A tag, hashed: of two that share one, a purge of one is a purge of both.
enum class TagId : std::uint64_t {};

// Memory that any process may map, and use at the same time as all others, threads too. Whoever dies in
// the middle of a call leaves what was there before, or what he was putting there. Times are of the
// steady clock, which all processes share. Any thread may call.
class Cache final {
 public:
  // `bytes`: kCacheBytesMin to kCacheBytesMax; all of the memory, which is taken as it is used.
  static Result<Cache> Create(std::size_t bytes);
  // An Error where it is none of this version.
  static Result<Cache> Open(os::Fd memory);

  const os::Fd& memory() const { return memory_; }
  // Whether Create() of so many bytes would make one of the same size.
  bool IsOf(std::size_t bytes) const;
  std::size_t value_bytes_max() { return shards_.front().value_bytes_max(); }

  // `bytes`: up to kKeyBytesMax. `name`: what the statistics speak of; those beyond kRows - 1 names, or
  // longer than RowName::kBytesMax, are counted together, and so are those that are but a begin of few keys.
  enum class Named : unsigned char { kByItself, kByABegin };
  Key KeyOf(std::string_view bytes, std::string_view name, Named named = Named::kByItself);

  // What an entry with that tag is marked with now: taken before its value is loaded, so that a purge
  // meanwhile meets it too. Two tags may share a mark; then a purge of one is a purge of both.
  TagMark MarkOf(std::string_view tag) const { return MarkOf(IdOf(tag)); }
  TagMark MarkOf(TagId tag) const;
  // Nothing that has been marked with it is there any more, for nobody. In constant time.
  void Purge(std::string_view tag) { Purge(IdOf(tag)); }
  void Purge(TagId tag);
  // The same on every box.
  static TagId IdOf(std::string_view tag);

  Answer Get(const Key& key, Time now, Wait wait, Value& value);
  Outcome Set(const Key& key,
              const NewValue& value,
              const Condition& condition,
              Time now,
              Wait wait);
  Outcome Remove(const Key& key, const Condition& condition, Time now, Wait wait);
  // Removes it, unless it is the box's own, and ends its claim.
  Outcome Forget(const Key& key, Time now, Wait wait);
  bool IsOwn(const Key& key, Time now, Wait wait);
  Outcome Touch(const Key& key, Lifetime lifetime, const Condition& condition, Time now, Wait wait);
  Outcome Add(const Key& key,
              std::int64_t number,
              const NewValue* initial,
              Time now,
              Wait wait,
              std::int64_t& sum);

  // What a caller who wants a value, and can load it, is to do.
  struct Loading {
    enum class Next : unsigned char {
      kUse,   // the value
      kLoad,  // then Fulfil(), or GiveUp(), with the token; with kStale there is a value meanwhile
      kWait,  // for another who loads it: Await(turn), and then ask again
      kWithout,  // load it, and keep it to yourself: the lock cannot be had, or there is no room
      kBusy,     // ask again with Wait::kForOthers
    };
    Next next = Next::kWithout;
    Answer answer = Answer::kAbsent;
    std::uint64_t token = 0;
    std::uint32_t turn = 0;
  };
  // One caller for each key loads at a time, until `lease` has passed or he has died.
  Loading GetOrClaim(const Key& key, Duration lease, Time now, Wait wait, Value& value);
  // The token alone; 0: another loads it, or as kWithout.
  std::uint64_t Claim(const Key& key, Duration lease, Time now, Wait wait);
  // kRefused where the key was set, removed or claimed by another since, or the lease has passed: what
  // was loaded may be old.
  Outcome Fulfil(const Key& key, std::uint64_t token, const NewValue& value, Time now, Wait wait);
  Outcome GiveUp(const Key& key, std::uint64_t token, Time now, Wait wait);
  // A value for those who do not wait for that claim, which stands.
  Outcome Supply(const Key& key, std::uint64_t token, const NewValue& value, Time now, Wait wait);
  // Until something has happened to the key since `turn`, or to others, or the time has passed.
  void Await(const Key& key, std::uint32_t turn, Duration timeout);
  std::uint32_t TurnOf(const Key& key);

  // What is kept and whose keys begin so; parts that are busy are left out. Gives how many.
  std::size_t RemoveKept(std::string_view prefix, Time now);
  // The values of it. False where parts were busy.
  bool ListKept(std::string_view prefix, Time now, std::vector<std::string>& values);

  // What the second level keeps in this memory. Settings are written before others know it.
  SecondHead& second() const { return head().second; }

  struct Row {
    std::size_t number = 0;  // as Entry::row
    std::string name;        // empty: of all others
    std::uint64_t hits = 0, misses = 0, sets = 0, evictions = 0;
  };
  struct Figures {
    std::size_t bytes = 0, bytes_used = 0, bytes_kept = 0, entries = 0, entries_kept = 0;
    std::uint64_t undone = 0;   // changes whose maker died in them
    std::uint64_t emptied = 0;  // shards that made no sense any more
    std::vector<Row> rows;      // those that were asked for, or set
  };
  // Of shards that are busy, what is counted, and not what is in them.
  Figures Count(Time now, Wait wait);
  // One shard after the other, each locked meanwhile; those that are busy are left out: how many.
  std::size_t ForEach(Time now, const Shard::Each& each);
  bool CheckInvariants();

 private:
  Cache(os::Fd memory, os::Mapping mapping);

  CacheHead& head() const { return *reinterpret_cast<CacheHead*>(mapping_.data()); }
  std::atomic<std::uint32_t>& CellOf(TagId tag) const;
  Shard& ShardOf(const Key& key);
  std::uint8_t RowOf(std::string_view name, std::uint64_t key, Named named);
  std::string NameOf(std::size_t row) const;

  // With the shard's lock.
  struct Claimed {
    bool by_another = false;
    std::uint64_t token = 0;  // 0: there was no room
  };
  Claimed ClaimIn(Shard& shard, const Key& key, Duration lease, Time now);

  // What `use` gives for the key's shard, or `busy`.
  template <typename Given, typename Use>
  Given Locked(const Key& key, Wait wait, Time now, Given busy, Use use);
  // The same, and tells those who wait for the key when it is done, or when a claim alone has ended.
  enum class Tell : unsigned char { kWhenDone, kOfClaims };
  template <typename Use>
  Outcome Changed(const Key& key, Wait wait, Time now, Tell tell, Use use);

  os::Fd memory_;
  os::Mapping mapping_;
  // As they were when it was opened: a process may scribble over them later.
  std::span<std::atomic<std::uint32_t>> cells_;
  std::uint64_t seed_ = 0;
  std::vector<Shard> shards_;
  std::unique_ptr<CommonNames> common_names_ = std::make_unique<CommonNames>();
};

}  // namespace onebox::cache
