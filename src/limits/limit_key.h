#pragma once
// Who or what a request counts for: the key of a limit.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/siphash.h"
#include "http/address.h"
#include "http/request_head.h"

namespace onebox::limits {

struct KeyPart {
  enum class Kind : std::uint8_t {
    kAddress,
    kHeader,
    kCookie,
    kPath,
    kHost,
    kAll
  } kind = Kind::kAddress;
  std::string name = {};  // of the header, in lower case, or of the cookie

  bool operator==(const KeyPart&) const = default;
};

// "address", "header:X-API-Key", "cookie:session", "path", "host", or "all", which is one for all.
// Nothing where it is none of them.
std::optional<KeyPart> ParseKeyPart(std::string_view text);

// A request that is counted.
struct Asked {
  const http::RequestHead& head;
  std::string_view path;  // in its normal form
  const std::optional<http::Address>& client;
};

// The hash of all parts together. Of an IPv6 address only the first `v6_bits` count: a household or a
// rented machine is given a /64. Who brings no such header or cookie counts by his address instead, so
// nobody escapes by leaving it out.
std::uint64_t KeyOf(std::span<const KeyPart> parts,
                    const Asked& asked,
                    unsigned v6_bits,
                    const SipKey& secret);

}  // namespace onebox::limits
