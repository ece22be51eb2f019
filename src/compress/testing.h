#pragma once
// Decodes with the libraries' own decoders, for this room's tests.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "http/coding.h"

namespace onebox::compress {

// Whether more is expected after what was decoded.
enum class Ending : std::uint8_t { kOpen, kComplete };

struct Decoded {
  std::string bytes;
  Ending ending = Ending::kOpen;
};

inline Decoded DecodeGzip(std::string_view coded) {
  z_stream stream{};
  CHECK(inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(coded.data()));
  stream.avail_in = static_cast<uInt>(coded.size());
  Decoded decoded;
  char room[4096];
  int status = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(room);
    stream.avail_out = sizeof room;
    status = inflate(&stream, Z_NO_FLUSH);
    CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
    decoded.bytes.append(room, sizeof room - stream.avail_out);
  } while (status == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
  CHECK(stream.avail_in == 0);
  if (status == Z_STREAM_END) decoded.ending = Ending::kComplete;
  inflateEnd(&stream);
  return decoded;
}

inline Decoded DecodeBrotli(std::string_view coded) {
  BrotliDecoderState* state = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  CHECK(state != nullptr);
  std::size_t left = coded.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(coded.data());
  Decoded decoded;
  BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
  while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
    std::size_t no_room = 0;
    result = BrotliDecoderDecompressStream(state, &left, &next, &no_room, nullptr, nullptr);
    CHECK(result != BROTLI_DECODER_RESULT_ERROR);
    std::size_t size = 0;
    const std::uint8_t* ready = BrotliDecoderTakeOutput(state, &size);
    decoded.bytes.append(reinterpret_cast<const char*>(ready), size);
  }
  CHECK(left == 0);
  if (result == BROTLI_DECODER_RESULT_SUCCESS) decoded.ending = Ending::kComplete;
  BrotliDecoderDestroyInstance(state);
  return decoded;
}

inline Decoded DecodeZstd(std::string_view coded) {
  ZSTD_DCtx* state = ZSTD_createDCtx();
  CHECK(state != nullptr);
  ZSTD_inBuffer input{coded.data(), coded.size(), 0};
  Decoded decoded;
  char room[4096];
  std::size_t filled = 0;
  std::size_t wanted = 1;
  do {
    ZSTD_outBuffer output{room, sizeof room, 0};
    wanted = ZSTD_decompressStream(state, &output, &input);
    CHECK(ZSTD_isError(wanted) == 0);
    filled = output.pos;
    decoded.bytes.append(room, filled);
  } while (wanted != 0 && (input.pos < input.size || filled == sizeof room));
  CHECK(input.pos == input.size);
  if (wanted == 0) decoded.ending = Ending::kComplete;
  ZSTD_freeDCtx(state);
  return decoded;
}

inline Decoded Decode(http::Coding coding, std::string_view coded) {
  switch (coding) {
    case http::Coding::kGzip:
      return DecodeGzip(coded);
    case http::Coding::kBrotli:
      return DecodeBrotli(coded);
    case http::Coding::kZstd:
      return DecodeZstd(coded);
    case http::Coding::kIdentity:
      break;
  }
  return {std::string(coded), Ending::kComplete};
}

}  // namespace onebox::compress
