#pragma once
// CacheLevels: the calls of a Cache, from Python's side of the lock: at once in the memory of the box, and
// without the GIL where they wait, or ask Redis.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/cache.h"
#include "cache/second_level.h"
#include "os/clock.h"

namespace onebox::pyext {

// Which memory a cache has.
enum class Where : unsigned char {
  kBox,    // the box's alone
  kBoth,   // and Redis' behind it, where there is one
  kRedis,  // Redis' alone: what is not done there is an Error
};

// The tags of an entry: as the box marks it now, and by their names.
struct Tags {
  std::vector<cache::TagMark> marks;
  std::vector<cache::TagId> ids;
};

// With the GIL, which it gives to others meanwhile; no Python runs in the caller's thread. An Error
// of kRedis says why Redis has not done it.
class CacheLevels final {
 public:
  std::shared_ptr<cache::Cache> first;
  std::shared_ptr<cache::SecondLevel> second;  // none: all is kBox
  Where where = Where::kBox;

  bool in_redis() const { return where == Where::kRedis; }

  Result<cache::Answer> Get(const cache::Key& key, Time now, cache::Value& value);
  // `keep`: with kBoth it is the box's own, and Redis is not asked.
  Result<cache::Outcome> Set(const cache::Key& key,
                             const cache::NewValue& value,
                             const Tags& tags,
                             const cache::Condition& condition,
                             Time now);
  Result<cache::Outcome> Remove(const cache::Key& key, const cache::Condition& condition, Time now);
  Result<cache::Outcome> Touch(const cache::Key& key,
                               cache::Lifetime lifetime,
                               const cache::Condition& condition,
                               Time now);
  Result<cache::Outcome> Add(const cache::Key& key,
                             std::int64_t number,
                             const cache::NewValue* initial,
                             const Tags& tags,
                             Time now,
                             std::int64_t& sum);
  Result<cache::Outcome> Purge(cache::TagId tag);
  Result<cache::Outcome> Clear(const std::string& name_space, bool kept, Time now);

  // What GetOrClaim() has found, for Fulfil(): the marks of the box, or all that Redis is to be told.
  Result<cache::Cache::Loading> GetOrClaim(const cache::Key& key,
                                           Duration lease,
                                           const Tags& tags,
                                           Time now,
                                           cache::Value& value,
                                           std::string& ticket);
  // An Error where the ticket is none.
  Result<cache::Outcome> Fulfil(const cache::Key& key,
                                std::uint64_t token,
                                const cache::NewValue& value,
                                std::string_view ticket,
                                Time now);
};

}  // namespace onebox::pyext
