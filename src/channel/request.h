#pragma once
// Request: what the front hands to a worker, and its bytes in a frame.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace onebox::channel {

struct Field {
  std::string_view name = {};  // as it was sent; the front has checked it and dropped what misleads
  std::string_view value = {};
};

enum class BodyPlace : std::uint8_t { kNone, kInline, kFile };

// As a Request's version_minor: HTTP/2.0.
inline constexpr std::uint8_t kHttp2 = 20;

// Everything is a view: of the caller's memory when encoding, of the decoded bytes afterwards.
struct Request {
  std::string_view method = {};          // "GET", as it was sent
  std::string_view path = {};            // decoded bytes, dots resolved; begins with "/"
  std::string_view query = {};           // without "?", as it was sent
  std::string_view target = {};          // the request target as it was sent
  std::string_view scheme = {};          // "http" or "https"
  std::string_view server_name = {};     // SERVER_NAME
  std::uint16_t server_port = 0;         // SERVER_PORT
  std::string_view client_address = {};  // text; empty for a unix socket
  std::uint16_t client_port = 0;         // 0 for a unix socket
  std::uint8_t version_minor = 1;        // HTTP/1.x, or kHttp2
  std::string_view id = {};              // X-Request-ID
  std::int64_t deadline = 0;             // steady clock, nanoseconds; 0: none
  bool cancel_disconnected = false;      // a client that leaves ends it, as its deadline does
  BodyPlace body_place = BodyPlace::kNone;
  std::uint64_t body_size = 0;     // bytes; 0 with kNone
  std::vector<Field> fields = {};  // in the order in which they were sent
  std::string_view body = {};      // only after decoding, and only with kInline
};

inline constexpr std::uint64_t kInlineBodyBytesMax = 64ULL << 10;  // larger bodies travel as a file
// Of what EncodeRequest() makes; a request above it cannot be sent to a worker.
inline constexpr std::size_t kRequestHeadBytesMax = 63ULL << 10;

// Appends all but the body, which follows it in the frame.
void EncodeRequest(std::string& out, const Request& request);

// `bytes`: the encoded head and the inline body. An Error where they do not agree with each other.
Result<Request> DecodeRequest(std::string_view bytes);

}  // namespace onebox::channel
