#pragma once
// Remote: entries of the cache as they lie in a Redis.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/cache.h"
#include "redis/commands.h"
#include "redis/link.h"

namespace onebox::cache {

// A change that makes what was asked for before it another's: random, never the same twice.
inline constexpr std::size_t kSealBytes = 8;

// What a value is marked with in Redis: eight bytes for the tag, eight for what stood there then.
// A tag's number changes when it is purged; one that is not there (evicted) is nobody's mark.
inline constexpr std::size_t kStampBytes = 16;

struct RemoteValue {
  std::string bytes;
  std::uint8_t codec = 0;
  std::optional<WallTime> fresh = {};      // until then; nothing: as long as it is there
  std::optional<Duration> remaining = {};  // nothing: for ever
  std::vector<TagId> tags = {};
};

// By the clock of this box.
Lifetime LifetimeOf(const RemoteValue& found, const Clock& clock);
// kFresh or kStale.
Answer Take(RemoteValue found, const Clock& clock, Value& value);

// What a loader found before he began: his value is refused where any of it has changed.
struct Seen {
  std::string seal;    // of what is at the key; empty: nothing is
  std::string stamps;  // of his tags
};

// One shelf of a Redis: keys with a prefix, each command one round trip and one step for all who ask.
// Conditions are as Shard's. An Error: as redis/commands.h has it; where Answered(), Redis has refused,
// and nothing was done. From any thread; the link outlives it.
class Remote final {
 public:
  struct Names {
    std::string values, tags;  // before keys, and before the eight bytes of a tag
    std::string scratch;       // a key that nobody else uses
    // How long a key that was removed is remembered, for loaders that have begun before; none: not.
    std::optional<Duration> tombstone = {};
  };
  // No link: all calls fail, as if it were down.
  Remote(Names names, const Clock& clock) : names_(std::move(names)), clock_(clock) {}
  // In this process alone: in a child it is as if there were none.
  void Use(redis::Link* link);
  const Names& names() const { return names_; }

  Result<std::optional<RemoteValue>> Get(std::string_view key);
  struct Claimed {
    std::optional<RemoteValue> value;
    Seen seen;
  };
  Result<Claimed> GetToLoad(std::string_view key, std::span<const TagId> tags);

  // `seen`: kRefused where it is so no more. kDone or kRefused.
  Result<Outcome> Set(std::string_view key,
                      const NewValue& value,
                      std::span<const TagId> tags,
                      const Condition& condition,
                      const Seen* seen);
  Result<Outcome> Remove(std::string_view key, const Condition& condition);
  Result<Outcome> Touch(std::string_view key, Lifetime lifetime, const Condition& condition);
  // kNotANumber and kOutOfRange, too.
  Result<Outcome> Add(std::string_view key,
                      std::int64_t number,
                      const NewValue* initial,
                      std::span<const TagId> tags,
                      std::int64_t& sum);
  Status Purge(TagId tag);
  // Keys that begin so, and are there when it begins. Until `deadline`: then an Error.
  Result<std::size_t> RemoveAll(std::string_view prefix, Time deadline);

  // Whether a question would be asked now.
  bool Up() const;

  static bool Answered(const Error& error) {
    return error.system_error == 0 && error.retry == Retry::kNever;
  }

 private:
  Result<redis::Reply> Run(std::string_view verb,
                           std::string_view key,
                           std::initializer_list<std::string_view> more);
  Result<redis::Link*> Connected() const;
  Result<std::optional<RemoteValue>> Parse(const redis::Reply& raw, const redis::Reply& remaining);
  std::string Fresh(const Lifetime& lifetime) const;
  std::string Lasts(const Lifetime& lifetime) const;

  const Names names_;
  const Clock& clock_;
  redis::Link* link_ = nullptr;
  std::uint64_t process_ = 0;  // whose link it is
};

// The script that does it, for the test that its name is right.
const redis::Script& RemoteScript();

}  // namespace onebox::cache
