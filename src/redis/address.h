#pragma once
// Where a Redis is and as whom to speak to it, as one URL says it.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::redis {

inline constexpr std::uint16_t kDefaultPort = 6379;
inline constexpr std::uint32_t kDatabaseMax = 65'535;

// A value; of the two places one is set.
struct Address {
  // redis://[[user]:password@]host[:port][/db], or unix:///path[?db=N], which may also be written
  // redis+unix:// and have a user and a password: unix://user:password@/path. %40 stands for @. An
  // Error says what was expected, and never shows the password.
  static Result<Address> Parse(std::string_view url);

  bool is_unix() const { return !path.empty(); }
  // As Parse() takes it, but without user and password: for logs.
  std::string text() const;

  std::string host = {};  // a name or an IP address, without brackets
  std::uint16_t port = 0;
  std::string path = {};  // of a unix socket, absolute
  std::string user = {},
              password = {};  // both empty: none; a password alone is the user "default"'s
  std::uint32_t database = 0;

  bool operator==(const Address&) const = default;
};

}  // namespace onebox::redis
