#include "compress/compressor.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compress/shelf.h"
#include "compress/testing.h"

namespace onebox::compress {
namespace {

using http::Coding;

constexpr Coding kAll[] = {Coding::kGzip, Coding::kBrotli, Coding::kZstd};

// Half repeats, half does not, so that there is something to find and something to keep.
std::string Sample(std::size_t size) {
  std::string bytes;
  std::uint32_t state = 1;
  while (bytes.size() < size) {
    state = state * 1664525 + 1013904223;
    if ((state >> 30) == 0) bytes += "a sentence that comes again and again, ";
    bytes += static_cast<char>(state >> 24);
  }
  bytes.resize(size);
  return bytes;
}

TEST(CompressAll, DecodesToTheSameBytes) {
  for (const Coding coding : kAll) {
    for (const std::size_t size : {0U, 1U, 100U, 20'000U, 1'000'000U}) {
      SCOPED_TRACE(std::string(http::NameOf(coding)) + " of " + std::to_string(size));
      const std::string bytes = Sample(size);
      const std::string coded = CompressAll(coding, {}, bytes);
      const Decoded decoded = Decode(coding, coded);
      EXPECT_EQ(decoded.bytes, bytes);
      EXPECT_EQ(decoded.ending, Ending::kComplete);
      EXPECT_EQ(CompressAll(coding, {}, bytes), coded) << "an ETag stands for these bytes";
    }
  }
}

TEST(CompressAll, UsesTheLevel) {
  const std::string bytes = Sample(300'000);
  const Levels fast{.gzip = 1, .brotli = 0, .zstd = 1};
  const Levels small{.gzip = 9, .brotli = 11, .zstd = 19};
  for (const Coding coding : kAll) {
    SCOPED_TRACE(http::NameOf(coding));
    EXPECT_LT(CompressAll(coding, small, bytes).size(), CompressAll(coding, fast, bytes).size());
  }
}

TEST(Compressor, TakesTheBodyInPiecesOfAnySize) {
  const std::string bytes = Sample(5'000);
  for (const Coding coding : kAll) {
    for (const std::size_t piece : {1U, 7U, 4096U, 5'000U}) {
      SCOPED_TRACE(std::string(http::NameOf(coding)) + " by " + std::to_string(piece));
      const auto compressor = NewCompressor(coding, {});
      EXPECT_EQ(compressor->coding(), coding);
      std::string coded;
      for (std::size_t at = 0; at < bytes.size(); at += piece) {
        compressor->Append(std::string_view(bytes).substr(at, piece), coded);
      }
      compressor->Finish(coded);
      const Decoded decoded = Decode(coding, coded);
      EXPECT_EQ(decoded.bytes, bytes);
      EXPECT_EQ(decoded.ending, Ending::kComplete);
    }
  }
}

TEST(Compressor, FlushedChunksCanBeDecodedAtOnce) {
  const std::vector<std::string> chunks = {"data: 1\n\n", "", Sample(100'000), "data: 3\n\n"};
  for (const Coding coding : kAll) {
    SCOPED_TRACE(http::NameOf(coding));
    const auto compressor = NewCompressor(coding, {});
    std::string coded;
    std::string sent;
    for (const std::string& chunk : chunks) {
      compressor->Append(chunk, coded);
      compressor->Flush(coded);
      sent += chunk;
      const Decoded decoded = Decode(coding, coded);
      EXPECT_EQ(decoded.bytes, sent);
      EXPECT_EQ(decoded.ending, Ending::kOpen);
    }
    compressor->Flush(coded);
    compressor->Finish(coded);
    EXPECT_EQ(Decode(coding, coded).bytes, sent);
  }
}

TEST(Compressor, AppendsToWhatIsThere) {
  for (const Coding coding : kAll) {
    SCOPED_TRACE(http::NameOf(coding));
    std::string out = "head";
    const auto compressor = NewCompressor(coding, {});
    compressor->Append("body", out);
    compressor->Finish(out);
    ASSERT_EQ(out.substr(0, 4), "head");
    EXPECT_EQ(Decode(coding, out.substr(4)).bytes, "body");
  }
}

TEST(Compressor, BeginsAgainAfterResetInAnyState) {
  for (const Coding coding : kAll) {
    SCOPED_TRACE(http::NameOf(coding));
    const auto compressor = NewCompressor(coding, {});
    std::string dropped;
    compressor->Append(Sample(70'000), dropped);
    compressor->Reset();  // given up
    for (const char* body : {"first", "second"}) {
      std::string coded;
      compressor->Append(body, coded);
      compressor->Finish(coded);
      EXPECT_EQ(Decode(coding, coded).bytes, body);
      compressor->Reset();
    }
  }
}

TEST(Shelf, HandsOutWhatWasPutBack) {
  Shelf shelf({});
  for (const Coding coding : kAll) {
    SCOPED_TRACE(http::NameOf(coding));
    auto compressor = shelf.Take(coding);
    const Compressor* first = compressor.get();
    std::string dropped;
    compressor->Append("given up", dropped);
    shelf.PutBack(std::move(compressor));
    compressor = shelf.Take(coding);
    EXPECT_EQ(compressor.get(), first);
    std::string coded;
    compressor->Append("body", coded);
    compressor->Finish(coded);
    EXPECT_EQ(Decode(coding, coded).bytes, "body");
  }
}

TEST(Shelf, KeepsNoMoreThanItsLimit) {
  Shelf shelf({});
  std::vector<std::unique_ptr<Compressor>> taken;
  for (std::size_t i = 0; i < Shelf::kIdleMax + 2; ++i)
    taken.push_back(shelf.Take(Coding::kGzip));
  for (auto& compressor : taken)
    shelf.PutBack(std::move(compressor));
  EXPECT_EQ(shelf.idle(Coding::kGzip), Shelf::kIdleMax);
}

}  // namespace
}  // namespace onebox::compress
