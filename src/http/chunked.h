#pragma once
// The chunked transfer coding (RFC 9112 7.1), read and written.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/refusal.h"

namespace onebox::http {

inline constexpr unsigned kChunkSizeDigitsMax = 15;        // a size is below 2^60
inline constexpr unsigned kChunkExtensionBytesMax = 4096;  // in the whole body
inline constexpr unsigned kTrailerBytesMax = 8192;
inline constexpr unsigned kTrailerFieldsMax = 64;

// Takes bytes as they come and hands out the data in them without copying. Extensions are checked
// and ignored, trailer fields are checked and dropped. How long the whole body may be is the caller's
// business. The result does not depend on how the bytes are cut, but for the cuts in the data.
class ChunkedDecoder {
 public:
  enum class State : std::uint8_t {
    kNeedMore,  // all of the input is consumed
    kData,      // `data` is the next part of the body; call again with the rest
    kEnd,       // the body is complete; what is not consumed belongs to the next request
    kRefused,
  };
  struct Step {
    State state = State::kNeedMore;
    std::size_t consumed = 0;    // of the input, `data` included
    std::string_view data = {};  // kData: not empty; a view into the input
    RefusalKind refusal{};       // kRefused
  };

  // After kEnd or kRefused it may not be called again.
  Step Feed(std::string_view input);

 private:
  using Refused = std::optional<RefusalKind>;

  // In the order of the message; Take() divides them into three parts by it.
  enum class At : std::uint8_t {
    kSize,
    kExtensionStart,  // only ";" may follow
    kExtensionNameStart,
    kExtensionName,
    kExtensionNameEnd,
    kExtensionValueStart,
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscaped,
    kExtensionValueEnd,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kFinalLf,
    kDone,
  };

  Refused Take(char c);
  Refused TakeSizeLine(char c);
  Refused TakeSize(char c);
  Refused TakeExtension(char c);
  Refused TakeChunkEnd(char c);
  Refused TakeTrailer(char c);

  std::uint64_t left_ = 0;  // the chunk's size while that is read, then what is left of its data
  std::uint16_t extension_bytes_ = 0;
  std::uint16_t trailer_bytes_ = 0;
  std::uint8_t trailer_fields_ = 0;
  std::uint8_t digits_ = 0;
  At at_ = At::kSize;
};

// "1a\r\n": stands before the data of a chunk, kChunkEnd after it. `size` is not 0, which would end
// the body.
void AppendChunkHead(std::string& out, std::uint64_t size);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// A whole chunk; nothing for empty data.
void AppendChunk(std::string& out, std::string_view data);

}  // namespace onebox::http
