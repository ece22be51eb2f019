#include "compress/compressor.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"

namespace onebox::compress {
namespace {

using http::Coding;

constexpr int kGzipWindowBits = 15 + 16;  // 16 asks zlib for gzip's head and tail
constexpr int kGzipMemoryLevel = 8;
constexpr int kStreamWindowBits = 18;   // brotli and zstd: 256 KiB
constexpr int kBrotliWindowBits = 22;   // for whole bodies; clients know at most 24
constexpr int kZstdWindowBitsMax = 23;  // RFC 9659: clients need not know more than 8 MiB
static_assert(kStreamWindowBits <= kZstdWindowBitsMax);

constexpr std::size_t kGrowBytes = 16 << 10;

// Runs `write(room, size)`, which says how many of `size` bytes it has filled, on new room at the end
// of `out`.
template <typename Write>
void Grow(std::string& out, std::size_t size, Write write) {
  const std::size_t before = out.size();
  out.resize(before + size);
  const std::size_t written = write(out.data() + before, size);
  CHECK(written <= size);
  out.resize(before + written);
}

class Gzip final : public Compressor {
 public:
  explicit Gzip(int level) {
    const int status = deflateInit2(
        &stream_, level, Z_DEFLATED, kGzipWindowBits, kGzipMemoryLevel, Z_DEFAULT_STRATEGY);
    CHECK(status == Z_OK);
  }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  ~Gzip() override { deflateEnd(&stream_); }

  Coding coding() const override { return Coding::kGzip; }

  void Append(std::string_view bytes, std::string& out) override {
    constexpr std::size_t kStepBytes = std::size_t{1} << 30;  // zlib counts in 32 bits
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kStepBytes))) {
      Run(bytes.substr(0, kStepBytes), Z_NO_FLUSH, out);
    }
  }
  void Flush(std::string& out) override { Run({}, Z_SYNC_FLUSH, out); }
  void Finish(std::string& out) override { Run({}, Z_FINISH, out); }
  void Reset() override { CHECK(deflateReset(&stream_) == Z_OK); }

 private:
  // zlib is done with what it was asked for when it leaves room in the output.
  void Run(std::string_view bytes, int flush, std::string& out) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      Grow(out, kGrowBytes, [&](char* room, std::size_t size) {
        stream_.next_out = reinterpret_cast<Bytef*>(room);
        stream_.avail_out = static_cast<uInt>(size);
        const int status = deflate(&stream_, flush);
        CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
        return size - stream_.avail_out;
      });
    } while (stream_.avail_out == 0);
    CHECK(stream_.avail_in == 0);
  }

  z_stream stream_{};
};

class Brotli final : public Compressor {
 public:
  explicit Brotli(int level) : level_(level) { Reset(); }

  Coding coding() const override { return Coding::kBrotli; }

  void Append(std::string_view bytes, std::string& out) override {
    Run(bytes, BROTLI_OPERATION_PROCESS, out);
  }
  void Flush(std::string& out) override { Run({}, BROTLI_OPERATION_FLUSH, out); }
  void Finish(std::string& out) override { Run({}, BROTLI_OPERATION_FINISH, out); }

  // The library knows no way to begin again.
  void Reset() override {
    state_.reset(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr));
    CHECK(state_ != nullptr);
    Set(BROTLI_PARAM_QUALITY, level_);
    Set(BROTLI_PARAM_LGWIN, kStreamWindowBits);
  }

 private:
  struct Free {
    void operator()(BrotliEncoderState* state) const { BrotliEncoderDestroyInstance(state); }
  };

  void Set(BrotliEncoderParameter parameter, int value) {
    CHECK(BrotliEncoderSetParameter(state_.get(), parameter, static_cast<std::uint32_t>(value)) ==
          BROTLI_TRUE);
  }

  void Run(std::string_view bytes, BrotliEncoderOperation operation, std::string& out) {
    std::size_t left = bytes.size();
    const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
    do {
      std::size_t no_room = 0;  // the output is taken from the library's own memory
      CHECK(BrotliEncoderCompressStream(
                state_.get(), operation, &left, &next, &no_room, nullptr, nullptr) == BROTLI_TRUE);
      while (BrotliEncoderHasMoreOutput(state_.get()) == BROTLI_TRUE) {
        std::size_t size = 0;  // all there is
        const std::uint8_t* ready = BrotliEncoderTakeOutput(state_.get(), &size);
        out.append(reinterpret_cast<const char*>(ready), size);
      }
    } while (left > 0);
    CHECK(operation != BROTLI_OPERATION_FINISH ||
          BrotliEncoderIsFinished(state_.get()) == BROTLI_TRUE);
  }

  int level_;
  std::unique_ptr<BrotliEncoderState, Free> state_;
};

struct FreeZstd {
  void operator()(ZSTD_CCtx* state) const { ZSTD_freeCCtx(state); }
};
using ZstdState = std::unique_ptr<ZSTD_CCtx, FreeZstd>;

void Set(ZSTD_CCtx* state, ZSTD_cParameter parameter, int value) {
  CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(state, parameter, value)) == 0);
}

ZstdState NewZstdState(int level) {
  ZstdState state(ZSTD_createCCtx());
  CHECK(state != nullptr);
  Set(state.get(), ZSTD_c_compressionLevel, level);
  return state;
}

class Zstd final : public Compressor {
 public:
  explicit Zstd(int level) : state_(NewZstdState(level)) {
    Set(state_.get(), ZSTD_c_windowLog, kStreamWindowBits);
  }

  Coding coding() const override { return Coding::kZstd; }

  void Append(std::string_view bytes, std::string& out) override {
    Run(bytes, ZSTD_e_continue, out);
  }
  void Flush(std::string& out) override { Run({}, ZSTD_e_flush, out); }
  void Finish(std::string& out) override { Run({}, ZSTD_e_end, out); }
  void Reset() override {
    CHECK(ZSTD_isError(ZSTD_CCtx_reset(state_.get(), ZSTD_reset_session_only)) == 0);
  }

 private:
  void Run(std::string_view bytes, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer input{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    bool done = false;
    while (!done) {
      // NOLINTNEXTLINE(readability-non-const-parameter): zstd writes there
      Grow(out, kGrowBytes, [&](char* room, std::size_t size) {
        ZSTD_outBuffer output{.dst = room, .size = size, .pos = 0};
        const std::size_t left = ZSTD_compressStream2(state_.get(), &output, &input, directive);
        CHECK(ZSTD_isError(left) == 0);
        done = directive == ZSTD_e_continue ? input.pos == input.size : left == 0;
        return output.pos;
      });
    }
  }

  ZstdState state_;
};

std::string GzipAll(int level, std::string_view bytes) {
  std::string out;
  Gzip gzip(level);
  gzip.Append(bytes, out);
  gzip.Finish(out);
  return out;
}

std::string BrotliAll(int level, std::string_view bytes) {
  std::string out;
  Grow(out, BrotliEncoderMaxCompressedSize(bytes.size()), [&](char* room, std::size_t size) {
    CHECK(BrotliEncoderCompress(level,
                                kBrotliWindowBits,
                                BROTLI_DEFAULT_MODE,
                                bytes.size(),
                                reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                &size,
                                reinterpret_cast<std::uint8_t*>(room)) == BROTLI_TRUE);
    return size;
  });
  return out;
}

std::string ZstdAll(int level, std::string_view bytes) {
  const ZstdState state = NewZstdState(level);
  std::string out;
  Grow(out, ZSTD_compressBound(bytes.size()), [&](char* room, std::size_t size) {
    const std::size_t written = ZSTD_compress2(state.get(), room, size, bytes.data(), bytes.size());
    CHECK(ZSTD_isError(written) == 0);
    return written;
  });
  return out;
}

}  // namespace

int Levels::Of(Coding coding) const {
  switch (coding) {
    case Coding::kGzip:
      return gzip;
    case Coding::kBrotli:
      return brotli;
    case Coding::kZstd:
      return zstd;
    case Coding::kIdentity:
      break;
  }
  return 0;
}

std::unique_ptr<Compressor> NewCompressor(Coding coding, const Levels& levels) {
  switch (coding) {
    case Coding::kGzip:
      return std::make_unique<Gzip>(levels.gzip);
    case Coding::kBrotli:
      return std::make_unique<Brotli>(levels.brotli);
    case Coding::kZstd:
      return std::make_unique<Zstd>(levels.zstd);
    case Coding::kIdentity:
      break;
  }
  CHECK(coding != Coding::kIdentity);
  return nullptr;
}

std::string CompressAll(Coding coding, const Levels& levels, std::string_view bytes) {
  switch (coding) {
    case Coding::kGzip:
      return GzipAll(levels.gzip, bytes);
    case Coding::kBrotli:
      return BrotliAll(levels.brotli, bytes);
    case Coding::kZstd:
      return ZstdAll(levels.zstd, bytes);
    case Coding::kIdentity:
      break;
  }
  CHECK(coding != Coding::kIdentity);
  return {};
}

}  // namespace onebox::compress
