#include "http/chunked.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

using State = ChunkedDecoder::State;

struct Decoded {
  std::string body;
  State state = State::kNeedMore;
  RefusalKind refusal{};
  std::size_t consumed = 0;
};

// Feeds `bytes` in pieces of at most `piece`.
Decoded Decode(std::string_view bytes, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded decoded;
  while (decoded.consumed < bytes.size()) {
    const auto step = decoder.Feed(bytes.substr(decoded.consumed, piece));
    decoded.consumed += step.consumed;
    decoded.body += step.data;
    decoded.state = step.state;
    decoded.refusal = step.refusal;
    if (step.state == State::kEnd || step.state == State::kRefused) break;
  }
  return decoded;
}

TEST(ChunkedDecoder, GivesTheBodyAndLeavesWhatFollows) {
  const struct {
    std::string_view why;
    std::string bytes;
    std::string body;
  } rows[] = {
      {"an empty body", "0\r\n\r\n", ""},
      {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"many chunks", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world"},
      {"digits in both cases, zeros before",
       "00a\r\n0123456789\r\n0A\r\n0123456789\r\n000\r\n\r\n",
       "01234567890123456789"},
      {"data that looks like framing", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"},
      {"an extension without a value", "1;a\r\nx\r\n0;b\r\n\r\n", "x"},
      {"quoted values", "1;a=b;c=\"d;=\\\"\\\\\t\xe9 \";f\r\nx\r\n0\r\n\r\n", "x"},
      {"bad white space", "1 ; a = b ;c\t= \"d\" ;e\r\nx\r\n0\r\n\r\n", "x"},
      {"a trailer", "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const std::string bytes = row.bytes + "GET /";
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      const Decoded decoded = Decode(bytes, piece);
      ASSERT_EQ(decoded.state, State::kEnd) << RefusalOf(decoded.refusal).name;
      EXPECT_EQ(decoded.body, row.body);
      EXPECT_EQ(decoded.consumed, row.bytes.size());
    }
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      const State state = Decode(row.bytes.substr(0, cut), row.bytes.size()).state;
      EXPECT_TRUE(state == State::kNeedMore || state == State::kData) << "cut at " << cut;
    }
  }
}

TEST(ChunkedDecoder, RefusesWhatIsNotWellFormed) {
  using enum RefusalKind;
  const std::string nul(1, '\0');
  const struct {
    std::string_view why;
    std::string bytes;
    RefusalKind kind;
  } rows[] = {
      {"nothing for a size", "\r\n", kBadChunkSize},
      {"no digit", "x\r\n", kBadChunkSize},
      {"a sign", "+5\r\nhello\r\n", kBadChunkSize},
      {"a minus", "-5\r\n", kBadChunkSize},
      {"0x", "0x5\r\nhello\r\n", kBadChunkSize},
      {"an underscore", "1_0\r\n", kBadChunkSize},
      {"a space before", " 5\r\nhello\r\n", kBadChunkSize},
      {"a space after", "5 \r\nhello\r\n", kBadChunkExtension},
      {"NUL after", "5" + nul + "\r\nhello\r\n", kBadChunkSize},
      {"LF alone after the size", "5\nhello\r\n", kBadChunkSize},
      {"CR alone after the size", "5\rhello\r\n", kBadChunkSize},
      {"sixteen digits", "0000000000000005\r\n", kChunkSizeTooLong},
      {"a size over 64 bits", "10000000000000005\r\n", kChunkSizeTooLong},
      {"LF alone in an extension", "5;\nhello\r\n", kBadChunkExtension},
      {"LF alone after an extension", "5;a\nhello\r\n", kBadChunkExtension},
      {"CR alone in an extension", "5;a\rb\r\nhello\r\n", kBadChunkSize},
      {"no name", "5;\r\nhello\r\n", kBadChunkExtension},
      {"no value", "5;a=\r\nhello\r\n", kBadChunkExtension},
      {"a name alone after white space", "5;a b\r\nhello\r\n", kBadChunkExtension},
      {"a quote that stays open", "5;a=\"b\r\nhello\r\n", kBadChunkExtension},
      {"LF within quotes", "5;a=\"\nb\"\r\nhello\r\n", kBadChunkExtension},
      {"CR LF behind a backslash", "5;a=\"\\\r\nb\"\r\nhello\r\n", kBadChunkExtension},
      {"text after quotes", "5;a=\"b\"c\r\nhello\r\n", kBadChunkExtension},
      {"a control in an extension", "5;a\x01\r\nhello\r\n", kBadChunkExtension},
      {"a byte above ASCII in a name", "5;\xe9\r\nhello\r\n", kBadChunkExtension},
      {"data longer than its size", "4\r\nhello\r\n0\r\n\r\n", kBadChunkEnd},
      {"data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", kBadChunkEnd},
      {"LF alone after data", "5\r\nhello\n0\r\n\r\n", kBadChunkEnd},
      {"CR alone after data", "5\r\nhello\r0\r\n\r\n", kBadChunkEnd},
      {"LF alone after the last chunk", "0\r\n\n", kBadTrailer},
      {"a trailer without a colon", "0\r\nA\r\n\r\n", kBadTrailer},
      {"a trailer without a name", "0\r\n: a\r\n\r\n", kBadTrailer},
      {"a space before the colon", "0\r\nA : b\r\n\r\n", kBadTrailer},
      {"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", kBadTrailer},
      {"LF alone in a trailer", "0\r\nA: b\n\r\n", kBadTrailer},
      {"CR alone in a trailer", "0\r\nA: b\rC: d\r\n\r\n", kBadTrailer},
      {"NUL in a trailer", "0\r\nA: " + nul + "\r\n\r\n", kBadTrailer},
      {"CR alone at the end", "0\r\n\rx", kBadTrailer},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    for (std::size_t piece = 1; piece <= row.bytes.size(); ++piece) {
      const Decoded decoded = Decode(row.bytes, piece);
      ASSERT_EQ(decoded.state, State::kRefused);
      EXPECT_EQ(decoded.refusal, row.kind) << RefusalOf(decoded.refusal).name;
    }
  }
}

TEST(ChunkedDecoder, BoundsWhatIsNotData) {
  using enum RefusalKind;
  const std::string name(kChunkExtensionBytesMax - 2, 'a');  // with the last byte of the line
  EXPECT_EQ(Decode("1;" + name + "\r\nx\r\n0\r\n\r\n", 7).state, State::kEnd);
  EXPECT_EQ(Decode("1;" + name + "aa\r\n", 7).refusal, kChunkExtensionTooLong);

  std::string drops;
  for (int i = 0; i < 2000; ++i)
    drops += "1;aa\r\nx\r\n";
  EXPECT_EQ(Decode(drops, 7).refusal, kChunkExtensionTooLong) << "a little in each of many chunks";

  std::string fields;
  for (unsigned i = 0; i < kTrailerFieldsMax; ++i)
    fields += "A:b\r\n";
  EXPECT_EQ(Decode("0\r\n" + fields + "\r\n", 7).state, State::kEnd);
  EXPECT_EQ(Decode("0\r\n" + fields + "A:b\r\n\r\n", 7).refusal, kTrailerTooLarge);

  const std::string value(kTrailerBytesMax - 6, 'b');
  EXPECT_EQ(Decode("0\r\nA:" + value + "\r\n\r\n", 7).state, State::kEnd);
  EXPECT_EQ(Decode("0\r\nA:" + value + "b\r\n\r\n", 7).refusal, kTrailerTooLarge);
}

TEST(ChunkedDecoder, HandsOutDataWithoutCopying) {
  const std::string bytes = "5\r\nhello\r\n0\r\n\r\n";
  ChunkedDecoder decoder;
  const auto step = decoder.Feed(bytes);
  EXPECT_EQ(step.state, State::kData);
  EXPECT_EQ(step.data.data(), bytes.data() + 3);
  EXPECT_EQ(step.consumed, 8U);
}

TEST(ChunkedEncoder, WritesWhatTheDecoderReads) {
  std::string bytes;
  std::string body;
  for (const std::size_t size : {0U, 1U, 9U, 10U, 15U, 16U, 255U, 256U, 70000U}) {
    const std::string data(size, static_cast<char>('a' + size % 26));
    AppendChunk(bytes, data);
    body += data;
  }
  bytes += kLastChunk;
  const Decoded decoded = Decode(bytes, 4096);
  EXPECT_EQ(decoded.state, State::kEnd);
  EXPECT_EQ(decoded.consumed, bytes.size());
  EXPECT_EQ(decoded.body, body);
}

TEST(ChunkedEncoder, WritesTheLargestSize) {
  std::string head;
  AppendChunkHead(head, UINT64_MAX);
  EXPECT_EQ(head, "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace onebox::http
