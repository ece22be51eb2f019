#pragma once
// The head of what a server behind us answers, parsed strictly from its bytes (RFC 9112).

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/field_table.h"
#include "http/head_scanner.h"
#include "http/limits.h"
#include "http/method.h"

namespace onebox::http {

// Where the body of an answer ends. kUntilClose: nothing says so but the end of the connection.
enum class ResponseFraming : std::uint8_t { kNone, kContentLength, kChunked, kUntilClose };

// Views into the bytes it was parsed from, which must stay where they are.
struct ResponseHead : FieldTable {
  std::string_view reason;           // may be empty
  std::uint64_t content_length = 0;  // where one is said, even without a body; at most 2^63 - 1
  int status = 0;                    // 100 to 599
  ResponseFraming framing = ResponseFraming::kNone;
  std::uint8_t minor_version = 1;  // of HTTP/1.x: 0 or 1
  bool has_length = false;         // content_length was said
  bool keep_alive = false;         // the connection may be used again after it
};

// How large the head of an answer may be. The status line has no limit of its own.
constexpr Limits ResponseLimits(std::size_t head_bytes_max) {
  return {.request_line_bytes_max = head_bytes_max,
          .head_bytes_max = head_bytes_max,
          .fields_max = kFieldsCapacity};
}

// Parses a whole head, from the status line to the empty line, of an answer to a request with that
// method: it decides whether a body follows (RFC 9112 6.3). Nothing that two readers might
// understand in two ways is accepted. Gives a sentence that says what is wrong, which is static;
// then `head` holds rubbish.
std::optional<std::string_view> ParseResponseHead(std::string_view bytes,
                                                  Method method,
                                                  const Limits& limits,
                                                  ResponseHead& head);

// What a HeadScanner that scanned an answer found wrong, in words that fit an answer; static.
std::string_view WrongResponse(RefusalKind kind);

}  // namespace onebox::http
