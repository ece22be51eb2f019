#pragma once
// Byte ranges: what is asked, and how parts are labelled in the answer (RFC 9110 14).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace onebox::http {

// Both ends included; first <= last < size of the representation.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t size() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

// A request for more ranges is answered with the whole.
inline constexpr std::size_t kRangesMax = 16;

enum class RangeOutcome : std::uint8_t {
  kWhole,          // there is no usable Range: 200
  kPartial,        // 206 with `ranges`
  kUnsatisfiable,  // 416
};

struct Ranges {
  RangeOutcome outcome = RangeOutcome::kWhole;
  std::array<ByteRange, kRangesMax> slots;
  std::size_t count = 0;

  // Not empty for kPartial. Never overlapping: those that were asked so are merged, and then all are
  // in ascending order; others stay in the order that they were asked in.
  std::span<const ByteRange> ranges() const { return {slots.data(), count}; }
};

// `value` of a Range field, for a representation of `size` bytes. What is not a valid bytes range is
// ignored, as 14.2 has it.
Ranges ParseRange(std::string_view value, std::uint64_t size);

// Content-Range's value: "bytes 0-499/1234", and for 416 "bytes */1234".
void AppendContentRange(std::string& out, const ByteRange& range, std::uint64_t size);
void AppendUnsatisfiedRange(std::string& out, std::uint64_t size);

// A multipart/byteranges body: for each range a part head and the bytes; then the end.
struct Multipart {
  std::string_view boundary;    // visible characters that are in no part, at most 70
  std::string_view media_type;  // of the whole representation
  std::uint64_t size = 0;       // of the whole representation
};
void AppendPartHead(std::string& out, const Multipart& multipart, const ByteRange& range);
void AppendMultipartEnd(std::string& out, const Multipart& multipart);

// Of the whole multipart body, for Content-Length.
std::uint64_t MultipartBytes(const Multipart& multipart, std::span<const ByteRange> ranges);

}  // namespace onebox::http
