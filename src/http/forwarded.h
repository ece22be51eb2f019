#pragma once
// Who the client is, where proxies stand between it and us.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/address.h"
#include "http/request_head.h"

namespace onebox::http {

// The one field that proxies are asked for the client. Never several: a proxy writes its own and may
// pass on whatever a client has put into the others.
enum class ClientField : std::uint8_t {
  kXForwardedFor,  // with X-Forwarded-Proto and X-Forwarded-Host
  kForwarded,      // RFC 7239: for, proto and host
  kXRealIp,        // one address; with X-Forwarded-Proto and X-Forwarded-Host
};

// Who may tell us about the client.
struct TrustedProxies {
  std::span<const Network> networks;
  bool unix_sockets = false;  // a peer without an address: only what can open the socket's file
  ClientField field = ClientField::kXForwardedFor;
};

// What holds for the request; views into its head.
struct Origin {
  std::optional<Address> client;    // the peer's, or the rightmost that is named and not trusted
  std::uint16_t client_port = 0;    // where a proxy names it with the address; 0: not known
  std::string_view scheme;          // "http" or "https"; empty: the connection's own
  std::string_view host;            // X-Forwarded-Host's; empty: the head's own
  bool from_trusted_proxy = false;  // the peer is one: its X-Request-ID counts
};

// `peer` is nothing for a unix socket. Each address of X-Forwarded-For or Forwarded was added by the
// hop that stands right of it, so the list is believed from the right for as long as hops are trusted;
// an element that is no address ends it. Of scheme and host the rightmost is the peer's own word, and
// is taken only from a trusted peer, and only if valid.
Origin FindOrigin(const RequestHead& head,
                  const std::optional<Address>& peer,
                  const TrustedProxies& trusted);

}  // namespace onebox::http
