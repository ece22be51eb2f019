#include "http/upstream_response.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

constexpr Limits kLimits = ResponseLimits(16384);

// As the front reads it: the scanner finds the end, in pieces of that size, and the parser does the
// rest. Empty where it is right; "more" where it is not whole.
std::string_view Read(std::string_view bytes,
                      std::size_t piece,
                      Method method,
                      ResponseHead& head) {
  HeadScanner scanner(kLimits);
  for (std::size_t size = std::min(piece, bytes.size());;
       size = std::min(size + piece, bytes.size())) {
    const auto scanned = scanner.Scan(bytes.substr(0, size));
    if (scanned.state == HeadScanner::State::kRefused) return WrongResponse(scanned.refusal);
    if (scanned.state == HeadScanner::State::kComplete) {
      const auto wrong = ParseResponseHead(bytes.substr(0, scanned.end), method, kLimits, head);
      return wrong.value_or("");
    }
    if (size == bytes.size()) return "more";
  }
}

TEST(UpstreamResponse, SaysWhereItsBodyEnds) {
  using enum ResponseFraming;
  const struct {
    std::string_view why;
    std::string_view bytes;
    Method method;
    int status;
    ResponseFraming framing;
    std::uint64_t length;
    bool keep_alive;
  } rows[] = {
      {"a length",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
       Method::kGet,
       200,
       kContentLength,
       5,
       true},
      {"chunks",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
       Method::kGet,
       200,
       kChunked,
       0,
       true},
      {"neither", "HTTP/1.1 200 OK\r\n\r\n", Method::kGet, 200, kUntilClose, 0, false},
      {"the length of a HEAD has no body",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
       Method::kHead,
       200,
       kNone,
       5,
       true},
      {"nor have the chunks",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       Method::kHead,
       200,
       kNone,
       0,
       true},
      {"304 with a length",
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
       Method::kGet,
       304,
       kNone,
       5,
       true},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", Method::kGet, 204, kNone, 0, true},
      {"interim", "HTTP/1.1 103 Early Hints\r\n\r\n", Method::kGet, 103, kNone, 0, true},
      {"another protocol",
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
       Method::kGet,
       101,
       kNone,
       0,
       true},
      {"it closes",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n",
       Method::kGet,
       200,
       kContentLength,
       5,
       false},
      {"1.0 closes",
       "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
       Method::kGet,
       200,
       kContentLength,
       5,
       false},
      {"1.0 that does not",
       "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
       Method::kGet,
       200,
       kContentLength,
       5,
       true},
      {"no reason and no space before it",
       "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
       Method::kGet,
       200,
       kContentLength,
       0,
       true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    for (std::size_t piece = 1; piece <= row.bytes.size(); ++piece) {
      ResponseHead head;
      ASSERT_EQ(Read(row.bytes, piece, row.method, head), "");
      EXPECT_EQ(head.status, row.status);
      EXPECT_EQ(head.framing, row.framing);
      EXPECT_EQ(head.content_length, row.length);
      EXPECT_EQ(head.keep_alive, row.keep_alive);
    }
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      ResponseHead head;
      EXPECT_EQ(Read(row.bytes.substr(0, cut), cut + 1, row.method, head), "more") << cut;
    }
  }
}

TEST(UpstreamResponse, IsRefusedWhereTwoReadersMightDiffer) {
  const std::string nul(1, '\0');
  const struct {
    std::string_view wrong;
    std::string bytes;
  } rows[] = {
      {"both Content-Length and Transfer-Encoding",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"more than one Content-Length",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"},
      {"Content-Length is not a number that can be",
       "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"},
      {"Content-Length is not a number that can be",
       "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
      {"Content-Length is not a number that can be", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"},
      {"Content-Length is not a number that can be",
       "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n"},
      {"a transfer coding other than chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
      {"a transfer coding other than chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"Transfer-Encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"Transfer-Encoding where no body can be",
       "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"a field is folded over lines", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"},
      {"white space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"},
      {"a line ends with LF alone", "HTTP/1.1 200 OK\nContent-Length: 5\n\n"},
      {"a line ends with LF alone", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\n"},
      {"a CR stands alone", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n"},
      {"a control character", "HTTP/1.1 200 OK\r\nA: " + nul + "\r\n\r\n"},
      {"a field has no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n"},
      {"a field name is not a token", "HTTP/1.1 200 OK\r\n: a\r\n\r\n"},
      {"the protocol of the answer is not HTTP/1", "HTTP/2 200\r\n\r\n"},
      {"the protocol of the answer is not HTTP/1", "ICY 200 OK\r\n\r\n"},
      {"the protocol of the answer is not HTTP/1", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
      {"the status line is not valid", "HTTP/1.1 20\r\n\r\n"},
      {"the status line is not valid", "HTTP/1.1 2000 OK\r\n\r\n"},
      {"the status line is not valid", "HTTP/1.1  200 OK\r\n\r\n"},
      {"the status line is not valid", "HTTP/1.x 200 OK\r\n\r\n"},
      {"the status is not one of 100 to 599", "HTTP/1.1 099 No\r\n\r\n"},
      {"the status is not one of 100 to 599", "HTTP/1.1 600 No\r\n\r\n"},
      {"the head of the answer is too large",
       "HTTP/1.1 200 OK\r\nA: " + std::string(20000, 'a') + "\r\n\r\n"},
      {"the head of the answer is too large", "HTTP/1.1 200 " + std::string(20000, 'a')},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.bytes.substr(0, 100));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, row.bytes.size()}) {
      ResponseHead head;
      EXPECT_EQ(Read(row.bytes, piece, Method::kGet, head), row.wrong);
    }
  }
}

TEST(UpstreamResponse, RefusesMoreFieldsThanItHasRoomFor) {
  std::string bytes = "HTTP/1.1 200 OK\r\n";
  for (std::size_t i = 0; i <= kFieldsCapacity; ++i)
    bytes += "A: b\r\n";
  bytes += "\r\n";
  ResponseHead head;
  EXPECT_EQ(Read(bytes, bytes.size(), Method::kGet, head), "the answer has too many header fields");
  EXPECT_EQ(ParseResponseHead(bytes, Method::kGet, kLimits, head),
            "the answer has too many header fields");
}

TEST(UpstreamResponse, KeepsFieldsInTheirOrder) {
  ResponseHead head;
  ASSERT_EQ(Read("HTTP/1.1 404 Not here\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX:\r\n"
                 "Content-Type: text/plain\r\n\r\n",
                 3,
                 Method::kGet,
                 head),
            "");
  EXPECT_EQ(head.reason, "Not here");
  ASSERT_EQ(head.fields().size(), 4U);
  EXPECT_EQ(head.fields()[1].value, "c=d");
  EXPECT_EQ(head.fields()[2].value, "");
  EXPECT_EQ(head.Value(KnownField::kContentType), "text/plain");
}

}  // namespace
}  // namespace onebox::http
