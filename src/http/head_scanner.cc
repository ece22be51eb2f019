#include "http/head_scanner.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "http/byte_search.h"

namespace onebox::http {
namespace {

// RFC 9112 2.2 asks for at least one; old clients send one after the body of a POST.
constexpr std::size_t kEmptyLinesMax = 2;

std::uint32_t Clamped(std::size_t limit) {
  constexpr std::size_t kMax = std::numeric_limits<std::uint32_t>::max() / 4;
  return static_cast<std::uint32_t>(std::min(limit, kMax));
}

}  // namespace

HeadScanner::HeadScanner(const Limits& limits)
    : request_line_bytes_max_(
          Clamped(std::min(limits.request_line_bytes_max, limits.head_bytes_max))),
      head_bytes_max_(Clamped(limits.head_bytes_max)),
      fields_max_(Clamped(limits.fields_max)) {}

void HeadScanner::Reset() {
  scanned_ = begin_ = line_begin_ = line_ = 0;
  empty_lines_ = 0;
}

HeadScanner::Progress HeadScanner::Scan(std::string_view bytes) {
  CHECK(bytes.size() >= scanned_);
  // No byte after the first one that is too many can matter.
  bytes = bytes.substr(0, std::size_t{begin_} + 2 * kEmptyLinesMax + head_bytes_max_ + 1);
  Finder<ControlByte> controls(bytes, scanned_);
  for (;;) {
    const std::size_t found = controls.Next();
    const bool is_cr = found < bytes.size() && bytes[found] == '\r';
    const std::size_t seen = std::min(found + (is_cr ? 2 : 1), bytes.size());
    if (seen - begin_ > request_line_bytes_max_ || line_ > fields_max_) {
      if (const auto over = OverLimit(bytes, found, seen)) return Refuse(*over);
    }
    scanned_ = static_cast<std::uint32_t>(found);
    if (found == bytes.size()) return {};
    if (!is_cr) {
      return Refuse(bytes[found] == '\n' ? RefusalKind::kBareLf : RefusalKind::kControlCharacter);
    }
    if (found + 1 == bytes.size()) return {};
    if (bytes[found + 1] != '\n') return Refuse(RefusalKind::kBareCr);
    controls.Next();  // the LF
    scanned_ += 2;

    const bool empty = found == line_begin_;
    line_begin_ = scanned_;
    if (!empty) {
      ++line_;
    } else if (line_ > 0) {
      return {.state = State::kComplete, .begin = begin_, .end = scanned_};
    } else {
      begin_ = scanned_;
      if (++empty_lines_ > kEmptyLinesMax) return Refuse(RefusalKind::kTooManyEmptyLines);
    }
  }
}

// Each limit is passed by one byte, the first that is too many. Of those that were passed the one
// whose byte came first is named, as it would be if the bytes had come one at a time.
std::optional<RefusalKind> HeadScanner::OverLimit(std::string_view bytes,
                                                  std::size_t line_end,
                                                  std::size_t seen_end) const {
  if (line_ == 0 && line_end - begin_ > request_line_bytes_max_) {
    const std::string_view line = bytes.substr(begin_, request_line_bytes_max_);
    return line.find(' ') == line.npos ? RefusalKind::kMethodTooLong : RefusalKind::kTargetTooLong;
  }
  const bool too_many = line_ > fields_max_ && line_end > line_begin_;
  if (too_many && line_begin_ - begin_ < head_bytes_max_) return RefusalKind::kTooManyFields;
  if (seen_end - begin_ > head_bytes_max_) return RefusalKind::kHeadTooLarge;
  return std::nullopt;
}

HeadScanner::Progress HeadScanner::Refuse(RefusalKind kind) {
  return {.state = State::kRefused, .refusal = kind};
}

}  // namespace onebox::http
