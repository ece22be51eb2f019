#pragma once
// Content codings: bytes in, coded bytes out, as they come or all at once.

#include <memory>
#include <string>
#include <string_view>

#include "http/coding.h"

namespace onebox::compress {

// How hard to try; the ranges are the libraries'.
struct Levels {
  int gzip = 5;    // 1 to 9
  int brotli = 4;  // 0 to 11
  int zstd = 3;    // 1 to 19

  int Of(http::Coding coding) const;  // 0 for kIdentity
};

// One body at a time. Output is appended to `out`; `bytes` are not needed after the call.
// Nothing here fails: what the libraries refuse is a bug, and so is a machine without memory.
class Compressor {
 public:
  virtual ~Compressor() = default;

  virtual http::Coding coding() const = 0;

  // May keep bytes back until more come.
  virtual void Append(std::string_view bytes, std::string& out) = 0;

  // After it, all that was appended can be decoded from what came out.
  virtual void Flush(std::string& out) = 0;

  // Ends the body. After it only Reset() may be called.
  virtual void Finish(std::string& out) = 0;

  // Ready for another body, whatever became of the last; cheaper than a new one for gzip and zstd.
  virtual void Reset() = 0;
};

// `coding` is not kIdentity. The windows are kept small, since many bodies may be under way at once:
// with the default levels about 1 MiB, 256 KiB for gzip.
std::unique_ptr<Compressor> NewCompressor(http::Coding coding, const Levels& levels);

// `bytes` as one coded body, with the whole window of the level. The same bytes give the same body.
std::string CompressAll(http::Coding coding, const Levels& levels, std::string_view bytes);

}  // namespace onebox::compress
