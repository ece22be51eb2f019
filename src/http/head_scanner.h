#pragma once
// Finds where a request head ends, in a buffer that grows.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/limits.h"
#include "http/refusal.h"

namespace onebox::http {

// Looks at each byte once over all calls, so bytes that come one at a time cost no more than bytes
// that come together, and the result does not depend on how they came. Refuses at the first byte
// that no head can hold or that goes over a limit; whether the lines are a request, the parser says.
//
// Scan() until it says kComplete or kRefused; then Reset() before the next request.
class HeadScanner {
 public:
  enum class State : std::uint8_t { kNeedMore, kComplete, kRefused };

  // kComplete: the head is `bytes.substr(begin, end - begin)`, its last CRLFs included; before it
  // are empty lines that RFC 9112 2.2 tells us to ignore. kRefused: `refusal` says why.
  struct Progress {
    State state = State::kNeedMore;
    RefusalKind refusal{};
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  explicit HeadScanner(const Limits& limits);

  // All bytes since the end of the last request: those of the last call, and perhaps more. They may
  // have moved to another place.
  Progress Scan(std::string_view bytes);

  // Whether `bytes`, which were scanned, hold nothing of a request line: a connection that ends or
  // times out here is idle, not broken.
  bool AtStart(std::string_view bytes) const { return bytes.size() <= begin_; }

  void Reset();

 private:
  static Progress Refuse(RefusalKind kind);
  std::optional<RefusalKind> OverLimit(std::string_view bytes,
                                       std::size_t line_end,
                                       std::size_t seen_end) const;

  std::uint32_t request_line_bytes_max_;
  std::uint32_t head_bytes_max_;
  std::uint32_t fields_max_;
  std::uint32_t scanned_ = 0;     // all before is seen, but for a CR that waits for its LF
  std::uint32_t begin_ = 0;       // of the request line
  std::uint32_t line_begin_ = 0;  // of the line that is being read
  std::uint32_t line_ = 0;        // its number: 0 is the request line
  std::uint8_t empty_lines_ = 0;
};

static_assert(sizeof(HeadScanner) <= 32, "every idle connection has one");

}  // namespace onebox::http
