#pragma once
// The head of a request as it goes on to a server behind us.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/address.h"
#include "http/request_head.h"

namespace onebox::http {

// The way that a request came by, as the next server is told of it (RFC 7239, and the X-Forwarded-*
// that came before it).
struct Hop {
  std::optional<Address> peer;        // who sent it to us; nothing for a unix socket
  std::optional<Address> client;      // who began it, as far as trusted proxies say so
  std::string_view scheme;            // "http" or "https": the client's
  std::string_view host;              // that the client asked for; may be empty (HTTP/1.0)
  std::string_view protocol = "1.1";  // of HTTP, that the request came in: Via (RFC 9110 7.6.3)
  std::uint16_t port = 0;             // that it came in by; 0: none, a unix socket
  bool trusted = false;               // what the peer says of those before it counts, and is kept
};

// What else is said to the server.
struct UpstreamRequest {
  const RequestHead& head;
  Hop hop;
  std::string_view host;                             // of the Host field; empty: the client's
  std::string_view id;                               // X-Request-ID
  std::optional<std::uint64_t> content_length = {};  // nothing: no body
  bool upgrade = false;                              // Upgrade is passed on
  std::string_view websocket_key = {};  // in the client's place, who has none; or empty
  bool close = false;                   // the connection is used for this one alone
};

// A field that one hop says to the next (RFC 9110 7.6.1), and no more: it is never passed on.
// Connection may name others.
bool IsHopByHop(const Field& field);

// Whether Connection names this field, which is then of one hop too; and whether it names any that are not
// known to be anyway.
bool ConnectionNames(const FieldTable& head, std::string_view name);
bool ConnectionNamesFields(const FieldTable& head);

// A field that the app behind takes for another: CGI turns "-" and "_" into the same name, and
// "Proxy" into the variable that HTTP clients obey.
bool MisleadsCgi(std::string_view name);

// Whether the client asks for another protocol on its connection, and in a way that holds (RFC 9110
// 7.8): Connection names Upgrade, nothing of a body follows, and HTTP is 1.1.
bool AsksForUpgrade(const RequestHead& head);

// In origin form, with what belongs to the hop before removed and the way added. The target goes on as
// the client wrote it.
void AppendUpstreamRequest(std::string& out, const UpstreamRequest& request);

}  // namespace onebox::http
