#pragma once
// What of a request the logs do not tell.

#include <string>
#include <string_view>

#include "http/address.h"

namespace onebox::front {

struct LogPrivacy {
  bool query =
      false;  // no query, of the request or of another page's address in Referer and Location
  bool cookies = false;  // no Cookie, Set-Cookie, Authorization or Proxy-Authorization
  bool address = false;  // of a client's address the network alone
};

// "/a" of "/a?b".
inline std::string_view WithoutQuery(std::string_view target) {
  return target.substr(0, target.find('?'));
}

// The first 24 bits of an IPv4 address, 48 of an IPv6 one, and zeros: a network, of 256 hosts or of what
// one customer is given.
http::Address NetworkOf(const http::Address& address);

// What may be told of a field: all of it, a part, or nothing.
std::string_view TellableValue(const LogPrivacy& privacy,
                               std::string_view name,
                               std::string_view value);

}  // namespace onebox::front
