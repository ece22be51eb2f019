#pragma once
// A request head: what the client asks for, parsed strictly from its bytes (RFC 9112).

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/field_table.h"
#include "http/limits.h"
#include "http/method.h"
#include "http/refusal.h"

namespace onebox::http {

enum class TargetForm : std::uint8_t { kOrigin, kAbsolute, kAsterisk };  // kAuthority is CONNECT's

enum class Framing : std::uint8_t { kNone, kContentLength, kChunked };

// Views into the bytes it was parsed from, which must stay where they are. Made once and used for
// many requests: parsing allocates nothing. Where the target is absolute, the Host field has the
// target's host (RFC 9112 3.2.2), so nobody can see the other one.
struct RequestHead : FieldTable {
  std::string_view method_name;
  std::string_view target;  // as sent
  std::string_view
      path;  // raw (see path.h); "/" where an absolute target has none; "*" for kAsterisk
  std::string_view query;  // raw, without the "?"; empty where there is none
  std::string_view
      host;  // host and port; the absolute target's, else Host's, else empty (HTTP/1.0)
  std::uint64_t content_length = 0;  // where framing is kContentLength; at most 2^63 - 1
  Method method = Method::kOther;
  TargetForm target_form = TargetForm::kOrigin;
  Framing framing = Framing::kNone;
  std::uint8_t minor_version = 1;  // of HTTP/1.x: 0 or 1
  bool has_query = false;          // tells "/?" from "/"
  bool keep_alive = false;         // what the client wants
  bool expect_continue = false;    // it waits for 100 before the body; never in HTTP/1.0
};

// Parses a whole head, from the request line to the empty line. `bytes` need not have been through
// HeadScanner: whatever they are, the head is valid or refused. On a refusal `head` holds rubbish.
std::optional<RefusalKind> ParseRequestHead(std::string_view bytes,
                                            const Limits& limits,
                                            RequestHead& head);

// Whether it is a host with an optional port: uri-host [ ":" port ] of RFC 9110 7.2. Stricter than
// the grammar: never empty, no "," (a merged list of two hosts looks like that), no percent-encoding
// (decoded or not, it would be two hosts), a port of at most 65535, an IPv6 address in brackets and
// nothing else.
bool IsValidHost(std::string_view host);

}  // namespace onebox::http
