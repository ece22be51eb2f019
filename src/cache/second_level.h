#pragma once
// SecondLevel: a process' way from the cache of the box to the Redis that several boxes share.

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/cache.h"
#include "cache/remote.h"
#include "redis/address.h"
#include "redis/link.h"

namespace onebox::cache {

// As the box has it; what lies in its memory, so that all processes have the same.
struct SecondSettings {
  std::string url = {};     // as redis::Address::Parse() takes it; empty: there is no second level
  std::string prefix = {};  // of all keys: another for each app that shares the Redis
  Duration timeout{};       // of each question
  bool sessions = false, locks = false, limits = false;  // whether these live there

  bool operator==(const SecondSettings&) const = default;
};
// An Error where they are too long.
Status WriteSettings(const SecondSettings& settings, Cache& cache);
SecondSettings ReadSettings(const Cache& cache);

// Of the prefix, what others hear of.
std::string TrackedPrefix(const SecondSettings& settings);

// What a value that is loaded was asked for with.
struct Ticket {
  enum class Kind : unsigned char {
    kShared,   // Redis has answered: `seen`
    kRefused,  // it takes nothing
    kAlone,    // it does not answer
  };
  Kind kind = Kind::kAlone;
  Origin origin = {};  // of the value, where Redis does not take it
  std::vector<TagId> tags;
  Seen seen;
};

// Calls go through both levels: what was not in the first is asked of Redis and kept there, for as long as it
// is trusted (redis/trust.h); what is changed is changed in Redis, and removed from the first level. Where
// Redis does not answer, the first level goes on alone, and what could not be told is noted there:
// before Redis is asked again, by whichever process, it is told that those keys are gone.
//
// From any thread, without the lock of the language: each question to Redis takes up to the timeout, and a
// call asks once, or twice where the first answer was an error. The cache and the clock outlive it.
class SecondLevel final {
 public:
  SecondLevel(Cache& first, const SecondSettings& settings, const Clock& clock);

  // After the last fork: before it all is as if Redis were gone. Waits for the first answer, up to the
  // timeout, and for a resolver. `connections_max`: at least 1.
  void Connect(std::size_t connections_max);

  // REQUIRES: the first level has said that nothing is there.
  Answer Get(const Key& key, Value& value);
  // `value.tags` is not used: `tags` are what it is marked with.
  Outcome Set(const Key& key,
              const NewValue& value,
              std::span<const TagId> tags,
              const Condition& condition);
  Outcome Remove(const Key& key, const Condition& condition);
  Outcome Touch(const Key& key, Lifetime lifetime, const Condition& condition);
  Outcome Add(const Key& key,
              std::int64_t number,
              const NewValue* initial,
              std::span<const TagId> tags,
              std::int64_t& sum);
  // kBusy where Redis does not answer, and there is no room to note it.
  Outcome Purge(TagId tag);

  // After Cache::GetOrClaim() has said kLoad or kWithout: Redis may have it. Then it is kUse; or there is a
  // stale value.
  void AskToLoad(const Key& key,
                 std::span<const TagId> tags,
                 Value& value,
                 Cache::Loading& loading,
                 Ticket& ticket);
  Outcome Fulfil(const Key& key, std::uint64_t token, const NewValue& value, const Ticket& ticket);

  // Tells Redis what it could not be told, if it answers now; for up to the timeout, and then it is an
  // Error, and to be gone on with.
  Status Settle();
  // Redis has said that a key of TrackedPrefix() was changed.
  void Hear(std::string_view key);

  // What lives in Redis alone, on a shelf of its own that nobody tracks: all calls ask it. Tags: none.
  Remote& kept() { return kept_; }
  // Counts what the callers of kept() get.
  template <typename T>
  Result<T> Counted(Result<T> answer) {
    Count(answer.ok() ? nullptr : &answer.error());
    return answer;
  }

 private:
  struct Begun;  // what was so before Redis was asked

  void Count(const Error* error);
  template <typename Ask>
  auto Asked(Ask ask) -> decltype(ask());
  Begun Begin() const;
  void Keep(const Key& key,
            std::uint64_t token,
            const RemoteValue& found,
            const Begun& begun,
            bool supply);
  Outcome SetAlone(const Key& key,
                   const NewValue& value,
                   std::span<const TagId> tags,
                   const Condition& condition);
  std::vector<TagMark> MarksOf(std::span<const TagId> tags) const;
  // Notes that Redis has not heard of a change to one of its keys.
  Outcome Note(const std::string& remote_key);
  Status MakeGood(const std::string& note);

  Cache& first_;
  const SecondSettings settings_;
  const Clock& clock_;
  Remote shared_, kept_;
  std::mutex settling_;
  std::unique_ptr<redis::Link> link_;  // of the process that has called Connect()
};

}  // namespace onebox::cache
