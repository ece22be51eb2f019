#pragma once
// Who the client is, where proxies stand between it and us.

#include <optional>
#include <span>
#include <string_view>

#include "http/address.h"
#include "http/request_head.h"

namespace onebox::http {

// Who may tell us about the client.
struct TrustedProxies {
  std::span<const Network> networks;
  bool unix_sockets = false;  // a peer without an address: only what can open the socket's file
};

// What holds for the request; views into its head.
struct Origin {
  std::optional<Address> client;    // the peer's, or the rightmost of X-Forwarded-For not trusted
  std::string_view scheme;          // "http" or "https"; empty: the connection's own
  std::string_view host;            // X-Forwarded-Host's; empty: the head's own
  bool from_trusted_proxy = false;  // the peer is one: its X-Request-ID counts
};

// `peer` is nothing for a unix socket. Each address of X-Forwarded-For was added by the hop that
// stands right of it, so the list is believed from the right for as long as hops are trusted; an
// element that is no address ends it. Of X-Forwarded-Proto and -Host the rightmost is the peer's own
// word, and is taken only from a trusted peer, and only if valid.
Origin FindOrigin(const RequestHead& head,
                  const std::optional<Address>& peer,
                  const TrustedProxies& trusted);

}  // namespace onebox::http
