#pragma once
// The PROXY protocol, versions 1 and 2: what a proxy says of the client before the client's first byte.
// (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt)

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/address.h"

namespace onebox::http {

inline constexpr std::size_t kProxyLineBytesMax = 107;  // of version 1, with its CRLF
// Of version 2, behind its first 16 bytes. The protocol allows 65,535; what proxies send is some
// hundred, a client's certificate by name included.
inline constexpr std::size_t kProxyBlockBytesMax = 4096;

// What it says. Nothing of an address where the proxy speaks for itself (LOCAL, a health check), or
// does not say (UNKNOWN, UNSPEC), or the client came by a unix socket or UDP: the connection's own hold.
struct ProxyHeader {
  std::optional<Address> client = {};
  std::uint16_t client_port = 0;
  bool by_tls = false;   // the client spoke TLS with the proxy (PP2_TYPE_SSL)
  std::size_t size = 0;  // bytes of the header: the client's begin behind it
};

struct ProxyHeaderRead {
  enum class State : std::uint8_t { kNeedMore, kWhole, kRefused } state = State::kNeedMore;
  ProxyHeader header = {};
  std::string_view why = {};  // kRefused: a sentence for the log
};

// Reads it from the begin of all that has come so far; with kNeedMore it is called again with more.
// The result does not depend on how the bytes are cut. Of a version 2 header the checksum is
// verified, if it has one; other TLVs are skipped. Never more than 16 + kProxyBlockBytesMax bytes are
// asked for.
ProxyHeaderRead ReadProxyHeader(std::string_view bytes);

// Whether the bytes begin as such a header does, as far as there are any: no request does.
bool LooksLikeProxyHeader(std::string_view bytes);

}  // namespace onebox::http
