#include "http/response_head.h"

#include <gtest/gtest.h>

#include "http/refusal.h"

namespace onebox::http {
namespace {

TEST(ResponseHead, IsWrittenLineByLine) {
  std::string out;
  AppendStatusLine(out, 404);
  AppendField(out, "Content-Type", "text/plain");
  AppendField(out, "Content-Length", 18446744073709551615U);
  AppendField(out, "X-Empty", "");
  EXPECT_EQ(out,
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
            "Content-Length: 18446744073709551615\r\nX-Empty: \r\n");
  out.clear();
  AppendStatusLine(out, 299, "Fine by me");
  AppendStatusLine(out, 599);
  EXPECT_EQ(out, "HTTP/1.1 299 Fine by me\r\nHTTP/1.1 599 Unknown\r\n");
}

TEST(ResponseHead, HasAReasonForEveryRefusal) {
  for (const Refusal& refusal : kRefusals)
    EXPECT_NE(ReasonPhrase(refusal.status), "Unknown");
  EXPECT_EQ(ReasonPhrase(200), "OK");
  EXPECT_EQ(ReasonPhrase(511), "Network Authentication Required");
  EXPECT_EQ(ReasonPhrase(100), "Continue");
  EXPECT_EQ(ReasonPhrase(0), "Unknown");
  EXPECT_EQ(ReasonPhrase(306), "Unknown");
}

TEST(ResponseHead, KnowsWhichStatusHasNoBody) {
  for (const int status : {100, 101, 103, 199, 204, 205, 304})
    EXPECT_FALSE(StatusHasBody(status));
  for (const int status : {200, 206, 301, 303, 305, 404, 500})
    EXPECT_TRUE(StatusHasBody(status));
}

TEST(ResponseHead, LetsNobodyInjectALine) {
  for (const char* value :
       {"", "a", "a b\tc", "text/html; charset=utf-8", "\xe9\x80\xff", "a: b"}) {
    SCOPED_TRACE(value);
    EXPECT_TRUE(IsValidFieldValue(value));
  }
  using std::string_view_literals::operator""sv;
  for (const std::string_view value : {"a\r\nSet-Cookie: x=y"sv,
                                       "a\nb"sv,
                                       "a\rb"sv,
                                       "\n"sv,
                                       "a\0b"sv,
                                       "\x7f"sv,
                                       "a\x0b"sv,
                                       " a"sv,
                                       "a "sv,
                                       "\ta"sv,
                                       "a long value whose end is what matters most here\r\n"sv,
                                       "\x1b[31m"sv}) {
    SCOPED_TRACE(value);
    EXPECT_FALSE(IsValidFieldValue(value));
  }
  for (const char* name : {"A", "X-Request-ID", "x_y", "a.b!"})
    EXPECT_TRUE(IsValidFieldName(name));
  for (const char* name : {"", "A:", "A B", "A\r\n", "A\n", "\xe9", " A", "A ", "(A)"}) {
    EXPECT_FALSE(IsValidFieldName(name)) << name;
  }
}

}  // namespace
}  // namespace onebox::http
