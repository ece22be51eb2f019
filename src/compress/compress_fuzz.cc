// Any bytes, in any pieces, with flushes anywhere, decode to themselves.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "compress/compressor.h"
#include "compress/testing.h"

namespace onebox::compress {
namespace {

// The first byte chooses the coding; then a length and its bytes make a piece, and the length's top
// bit a flush after it.
void CheckRoundTrip(std::string_view input) {
  if (input.empty()) return;
  constexpr http::Coding kAll[] = {http::Coding::kGzip, http::Coding::kBrotli, http::Coding::kZstd};
  const http::Coding coding = kAll[static_cast<unsigned char>(input[0]) % std::size(kAll)];
  input.remove_prefix(1);
  const auto compressor = NewCompressor(coding, {});
  std::string sent;
  std::string coded;
  while (!input.empty()) {
    const unsigned step = static_cast<unsigned char>(input[0]);
    const std::string_view piece = input.substr(1, step & 0x7f);
    input.remove_prefix(1 + piece.size());
    compressor->Append(piece, coded);
    sent.append(piece);
    if ((step & 0x80) == 0) continue;
    compressor->Flush(coded);
    CHECK(Decode(coding, coded).bytes == sent);
  }
  compressor->Finish(coded);
  const Decoded decoded = Decode(coding, coded);
  CHECK(decoded.bytes == sent);
  CHECK(decoded.ending == Ending::kComplete);
}

}  // namespace
}  // namespace onebox::compress

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  onebox::compress::CheckRoundTrip({reinterpret_cast<const char*>(data), size});
  return 0;
}
