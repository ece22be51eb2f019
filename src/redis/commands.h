#pragma once
// The commands that the cache's second level needs, each one round trip.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "redis/link.h"

namespace onebox::redis {

// From any thread. Keys and values are any bytes. An answer that refuses ("OOM command not allowed", "WRONGTYPE")
// is an Error here; after any Error but one with Retry::kYes the command may have been done. Times to
// live are rounded up to milliseconds, and at least one.

struct Found {
  std::string value;
  std::optional<Duration> remaining;  // nothing: it does not expire
};
// `remaining` is read right after the value. Where another sets the key in between it is that of his value;
// then the key's invalidation is on its way.
Result<std::optional<Found>> Get(Link& link, std::string_view key);

// As many as keys, in their order: the versions of tags, for one.
Result<std::vector<std::optional<std::string>>> GetMany(Link& link,
                                                        std::span<const std::string_view> keys);

enum class Only : std::uint8_t { kAlways, kIfAbsent, kIfPresent };
// False where `only` forbids it. kIfAbsent takes a lock.
Result<bool> Set(Link& link,
                 std::string_view key,
                 std::string_view value,
                 std::optional<Duration> ttl,
                 Only only);

// Whether it was there.
Result<bool> Delete(Link& link, std::string_view key);

struct Initial {
  std::int64_t number = 0;
  std::optional<Duration> ttl = {};  // of the key that is made; one that is there keeps its own
};
// The sum; where no key is there, `by` is added to the initial number, or nothing is done without one.
Result<std::optional<std::int64_t>> Increment(Link& link,
                                              std::string_view key,
                                              std::int64_t by,
                                              const std::optional<Initial>& initial);

// If the key has that value, in one step: giving back a lock, and renewing it. Whether it was so.
Result<bool> DeleteIf(Link& link, std::string_view key, std::string_view value);
Result<bool> ExpireIf(Link& link, std::string_view key, std::string_view value, Duration ttl);

// A script that Redis runs in one step; it is sent whole only where the server does not know it yet.
struct Script {
  std::string_view sha1;  // of the text, as Redis names it
  std::string_view text;
};
// KEYS[1] is `key`, ARGV what follows.
Result<Reply> Run(Link& link,
                  const Script& script,
                  std::string_view key,
                  std::span<const std::string_view> arguments);
// Those of the above, for the test that the names are right.
std::span<const Script> Scripts();

}  // namespace onebox::redis
