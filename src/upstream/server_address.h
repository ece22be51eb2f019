#pragma once
// Where a server behind us is, as its URL says it, and how much it is to be given.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::upstream {

inline constexpr std::uint32_t kWeightMax = 100;

// A value. A server is at a host and port, or at a unix socket.
struct ServerAddress {
  // "http://host[:port]", "https://host[:port]" or "unix:/path". After it, separated by spaces,
  // "weight=N" (1 to kWeightMax) and "backup". An Error says what was expected.
  static Result<ServerAddress> Parse(std::string_view text);

  bool is_unix() const { return !path.empty(); }
  // As Parse() takes it, without what follows the URL: for logs and labels.
  std::string text() const;
  // For the Host field: host and port, the port only where it is not the scheme's own.
  std::string authority() const;

  bool secure = false;     // https
  std::string host = {};   // a name or an IP address, without brackets
  std::uint16_t port = 0;  // of host
  std::string path = {};   // of a unix socket, absolute
  std::uint32_t weight = 1;
  bool backup = false;  // asked only while no other can be

  bool operator==(const ServerAddress&) const = default;
};

}  // namespace onebox::upstream
