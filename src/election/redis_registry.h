#pragma once
// The record of an election in Redis: one hash.

#include <optional>
#include <string>

#include "base/clock.h"
#include "election/registry.h"
#include "os/fd.h"
#include "redis/address.h"
#include "redis/connection.h"

namespace onebox::election {

// Opens its connection when it is asked, and again after an Error. The record does not expire: no server's clock
// has a say. The clock outlives it.
class RedisRegistry final : public Registry {
 public:
  struct Options {
    redis::Address address;
    std::string key;
    std::string holder;  // our name of ourselves
    Duration timeout;    // of each call; opening a connection too
  };
  RedisRegistry(Options options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  Result<std::optional<Record>> Read() override;
  Result<std::optional<std::int64_t>> Take(const std::optional<Record>& seen) override;
  Result<bool> Renew(std::int64_t fence) override;
  Status Resign(std::int64_t fence) override;

 private:
  Result<redis::Reply> Ask(const redis::Commands& command);
  Result<redis::Reply> Run(std::string_view script,
                           std::string_view first,
                           std::string_view second = {},
                           std::string_view third = {});

  const Options options_;
  const Clock& clock_;
  std::optional<redis::Connection> connection_;
};

}  // namespace onebox::election
