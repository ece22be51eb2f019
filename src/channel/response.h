#pragma once
// What a worker sends back: head, body, file, end; and their bytes in frames.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "channel/request.h"
#include "os/fd.h"

namespace onebox::channel {

struct ResponseHead {
  std::uint16_t status = 200;                        // 200 to 599 from a worker that is not broken
  std::string_view reason = {};                      // may be empty
  std::optional<std::uint64_t> content_length = {};  // as the app says; not repeated in `fields`
  std::vector<Field> fields = {};                    // in the app's order
};

// In shared memory between versions: append, never renumber. See docs/internals/channel.md
enum class FrameKind : std::uint32_t {
  kRequest = 1,
  kHead = 2,
  kBody = 3,
  kFile = 4,
  kEnd = 5,
  kEarlyHints = 6,
};

enum class End : std::uint8_t {
  kNotYet,     // more frames of this response follow
  kComplete,   // the body is whole
  kBrokenOff,  // the app failed: what was sent is not a whole response
};

// One step of a response. The order for one slot: kEarlyHints up to kEarlyHintsMax times, kHead, then kBody and kFile in any number, then
// one frame with an end; a response that failed before its head is a kEnd alone (kBrokenOff).
struct ResponseFrame {
  FrameKind kind = FrameKind::kEnd;
  std::uint32_t slot = 0;
  ResponseHead head;           // kHead; kEarlyHints, of which the fields alone count
  std::string_view body = {};  // kHead (may be empty), kBody
  os::Fd file;                 // kFile, at most once a response; reading it may fail
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // kFile
  End end = End::kNotYet;    // may come with any kind; always set with kEnd
};

inline constexpr std::size_t kResponseHeadBytesMax = 63ULL << 10;  // encoded
inline constexpr std::size_t kEarlyHintsBytesMax = 8ULL << 10;     // encoded
inline constexpr std::uint32_t kEarlyHintsMax = 16;                // of one response
inline constexpr std::uint64_t kFileBytesMax = 1ULL << 62;
inline constexpr std::size_t kBodyFrameBytesMax = 64ULL << 10;  // of body in one frame

// In front of the bytes of a kHead frame: the encoded head's size; the body is the rest.
using HeadSize = std::uint32_t;
// The bytes of a kFile frame.
struct FileRange {
  std::uint64_t offset;
  std::uint64_t length;
};

// Appends status, reason, length and fields.
void EncodeResponseHead(std::string& out, const ResponseHead& head);

// Sets the length of an encoded head.
void SetContentLength(std::string& encoded, std::uint64_t length);

// The views point into `bytes`. Checks the shape alone: status and fields may hold anything that a
// worker cares to write.
Result<ResponseHead> DecodeResponseHead(std::string_view bytes);

}  // namespace onebox::channel
