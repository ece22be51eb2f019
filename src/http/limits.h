#pragma once
// How large a request head may be.

#include <cstddef>

namespace onebox::http {

// The most fields that a RequestHead has room for; `Limits::fields_max` is at most this.
inline constexpr std::size_t kFieldsCapacity = 256;

struct Limits {
  std::size_t request_line_bytes_max = 8192;  // without its CRLF; above it 414
  std::size_t head_bytes_max = 32768;         // request line, fields and all CRLFs; above it 431
  std::size_t fields_max = 100;               // above it 431
};

static_assert(Limits{}.request_line_bytes_max < Limits{}.head_bytes_max);
static_assert(Limits{}.fields_max <= kFieldsCapacity);

}  // namespace onebox::http
