#include "http/head_scanner.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

using State = HeadScanner::State;

constexpr Limits kSmall{.request_line_bytes_max = 20, .head_bytes_max = 60, .fields_max = 2};

struct Row {
  std::string why;
  std::string bytes;
  State state = State::kNeedMore;
  RefusalKind refusal{};
  std::size_t begin = 0;
  std::size_t end = 0;
};

Row Complete(std::string why, std::string bytes, std::size_t begin, std::size_t end) {
  return {std::move(why), std::move(bytes), State::kComplete, {}, begin, end};
}
Row Refused(std::string why, std::string bytes, RefusalKind kind) {
  return {std::move(why), std::move(bytes), State::kRefused, kind, 0, 0};
}
Row NeedMore(std::string why, std::string bytes) {
  return {std::move(why), std::move(bytes), State::kNeedMore, {}, 0, 0};
}

std::string Nul() {
  return std::string(1, '\0');
}

std::vector<Row> Rows() {
  return {
      Complete("no fields", "GET / HTTP/1.1\r\n\r\n", 0, 18),
      Complete("fields", "GET / HTTP/1.1\r\nA: b\r\nC:d\r\n\r\n", 0, 29),
      Complete("a body after it", "GET / HTTP/1.1\r\nA: b\r\n\r\n\n\r\x01", 0, 24),
      Complete("another request after it", "GET / HTTP/1.1\r\n\r\nGET /", 0, 18),
      Complete("an empty line before", "\r\nGET / HTTP/1.1\r\n\r\n", 2, 20),
      Complete("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 4, 22),
      Complete("a tab in a value", "GET / HTTP/1.1\r\nA:\tb\r\n\r\n", 0, 24),
      Complete("bytes above ASCII", "GET /\xff HTTP/1.1\r\nA: \x80\r\n\r\n", 0, 25),
      Complete("lines that are no request", "a\r\n\r\n", 0, 5),
      NeedMore("nothing", ""),
      NeedMore("an empty line", "\r\n"),
      NeedMore("a CR that waits", "GET / HTTP/1.1\r"),
      NeedMore("the last LF is missing", "GET / HTTP/1.1\r\nA: b\r\n\r"),
      Refused("three empty lines", "\r\n\r\n\r\nGET /", RefusalKind::kTooManyEmptyLines),
      Refused("LF alone", "GET / HTTP/1.1\n", RefusalKind::kBareLf),
      Refused("LF alone at once", "\n", RefusalKind::kBareLf),
      Refused("LF LF ends no head", "GET / HTTP/1.1\r\nA: b\n\n", RefusalKind::kBareLf),
      Refused("LF CR LF ends no head", "GET / HTTP/1.1\r\nA: b\n\r\n", RefusalKind::kBareLf),
      Refused("CR alone in the line", "GET /\rHTTP/1.1\r\n\r\n", RefusalKind::kBareCr),
      Refused("CR CR LF", "GET / HTTP/1.1\r\r\n\r\n", RefusalKind::kBareCr),
      Refused("CR alone in a value", "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", RefusalKind::kBareCr),
      Refused("CR alone before a line", "\rGET / HTTP/1.1\r\n\r\n", RefusalKind::kBareCr),
      Refused("NUL", "GET /" + Nul() + " HTTP/1.1\r\n\r\n", RefusalKind::kControlCharacter),
      Refused("NUL in a value", "GET / HTTP/1.1\r\nA: " + Nul(), RefusalKind::kControlCharacter),
      Refused("DEL", "GET /\x7f", RefusalKind::kControlCharacter),
      Refused("vertical tab", "GET / HTTP/1.1\r\nA:\x0b", RefusalKind::kControlCharacter),
      Refused("TLS on a plain port", "\x16\x03\x01\x02", RefusalKind::kControlCharacter),
      NeedMore("a line at its limit", "GET /67890123456789."),
      Complete("a line at its limit, ended", "GET /67890123456789.\r\n\r\n", 0, 24),
      Refused("a target too long", "GET /67890123456789.1", RefusalKind::kTargetTooLong),
      Refused("and a control behind it", "GET /67890123456789.1\x01", RefusalKind::kTargetTooLong),
      Refused("a control at the limit", "GET /67890123456789.\x01", RefusalKind::kControlCharacter),
      Refused("a method too long", "G23456789012345678901 /", RefusalKind::kMethodTooLong),
      NeedMore("fields at their limit", "G / H\r\nA:b\r\nC:d\r\n"),
      Complete("fields at their limit, ended", "G / H\r\nA:b\r\nC:d\r\n\r\n", 0, 19),
      Refused("a field too many", "G / H\r\nA:b\r\nC:d\r\nE", RefusalKind::kTooManyFields),
      Complete("a head at its limit", "G / H\r\nA:" + std::string(47, 'b') + "\r\n\r\n", 0, 60),
      Refused("a head too large",
              "G / H\r\nA:" + std::string(48, 'b') + "\r\n\r\n",
              RefusalKind::kHeadTooLarge),
      Refused("before it ends", "G / H\r\nA:" + std::string(52, 'b'), RefusalKind::kHeadTooLarge),
      Complete("empty lines do not count",
               "\r\n\r\nG / H\r\nA:" + std::string(47, 'b') + "\r\n\r\n",
               4,
               64),
  };
}

void ExpectResult(const HeadScanner::Progress& progress, const Row& row) {
  ASSERT_EQ(progress.state, row.state);
  if (row.state == State::kRefused) {
    EXPECT_EQ(progress.refusal, row.refusal) << RefusalOf(progress.refusal).name;
  }
  if (row.state == State::kComplete) {
    EXPECT_EQ(progress.begin, row.begin);
    EXPECT_EQ(progress.end, row.end);
  }
}

TEST(HeadScanner, FindsTheEndOrRefuses) {
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.why);
    HeadScanner scanner(kSmall);
    ExpectResult(scanner.Scan(row.bytes), row);
  }
}

TEST(HeadScanner, SaysTheSameWhereverTheBytesAreCut) {
  for (const Row& row : Rows()) {
    for (std::size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      SCOPED_TRACE(row.why + ", cut at " + std::to_string(cut));
      HeadScanner scanner(kSmall);
      const auto first = scanner.Scan(row.bytes.substr(0, cut));
      ExpectResult(first.state == State::kNeedMore ? scanner.Scan(row.bytes) : first, row);
    }
  }
}

TEST(HeadScanner, SaysTheSameForBytesThatComeOneAtATime) {
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.why);
    HeadScanner scanner(kSmall);
    HeadScanner::Progress progress;
    for (std::size_t size = 0; size <= row.bytes.size(); ++size) {
      progress = scanner.Scan(row.bytes.substr(0, size));
      if (progress.state != State::kNeedMore) break;
    }
    ExpectResult(progress, row);
  }
}

TEST(HeadScanner, BeginsAnewAfterReset) {
  HeadScanner scanner(kSmall);
  const std::string pipelined = "\r\n\r\nG / H\r\nA:b\r\nC:d\r\n\r\n\r\n\r\nG /2 H\r\n\r\n";
  const auto first = scanner.Scan(pipelined);
  ASSERT_EQ(first.state, State::kComplete);
  scanner.Reset();
  const std::string rest = pipelined.substr(first.end);
  const auto second = scanner.Scan(rest);
  ASSERT_EQ(second.state, State::kComplete);
  EXPECT_EQ(rest.substr(second.begin, second.end - second.begin), "G /2 H\r\n\r\n");
}

TEST(HeadScanner, TellsAnIdleConnectionFromAHalfSentRequest) {
  HeadScanner scanner(kSmall);
  scanner.Scan("");
  EXPECT_TRUE(scanner.AtStart(""));
  scanner.Scan("\r\n");
  EXPECT_TRUE(scanner.AtStart("\r\n"));
  scanner.Scan("\r\nG");
  EXPECT_FALSE(scanner.AtStart("\r\nG"));
}

}  // namespace
}  // namespace onebox::http
