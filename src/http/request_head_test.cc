#include "http/request_head.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/head_scanner.h"
#include "http/testing.h"

namespace onebox::http {
namespace {

struct Accepted {
  std::string why;
  std::string bytes;
  void (*check)(const RequestHead&);
};

std::vector<Accepted> AcceptedHeads() {
  return {
      {"a request as browsers send it",
       "GET /a/b%20c?x=1&y[]=2 HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: x\r\nETC:\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.method, Method::kGet);
         EXPECT_EQ(head.method_name, "GET");
         EXPECT_EQ(head.target, "/a/b%20c?x=1&y[]=2");
         EXPECT_EQ(head.target_form, TargetForm::kOrigin);
         EXPECT_EQ(head.path, "/a/b%20c");
         EXPECT_EQ(head.query, "x=1&y[]=2");
         EXPECT_TRUE(head.has_query);
         EXPECT_EQ(head.host, "example.com:8080");
         EXPECT_EQ(head.framing, Framing::kNone);
         EXPECT_EQ(head.minor_version, 1);
         EXPECT_TRUE(head.keep_alive);
         EXPECT_FALSE(head.expect_continue);
         ASSERT_EQ(head.fields().size(), 3U);
         EXPECT_EQ(head.fields()[1].name, "User-Agent");
         EXPECT_EQ(head.fields()[1].known, KnownField::kUserAgent);
         EXPECT_EQ(head.fields()[2].value, "");
         EXPECT_EQ(head.Value(KnownField::kUserAgent), "x");
         EXPECT_FALSE(head.Has(KnownField::kCookie));
         EXPECT_EQ(head.Find(KnownField::kCookie), nullptr);
       }},
      {"no query, and an empty one",
       "GET /? HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.path, "/");
         EXPECT_TRUE(head.has_query);
         EXPECT_EQ(head.query, "");
       }},
      {"white space around values, none within names",
       "GET / HTTP/1.1\r\nHost:\t a \t\r\nX_y.z!: \t b  c \t\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.host, "a");
         EXPECT_EQ(head.fields()[1].name, "X_y.z!");
         EXPECT_EQ(head.fields()[1].value, "b  c");
       }},
      {"raw bytes in target and value",
       "GET /\xc3\xa9?\xff HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.path, "/\xc3\xa9");
         EXPECT_EQ(head.fields()[1].value, "\x80\xff");
       }},
      {"a path that begins with two slashes is no host",
       "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.host, "a");
         EXPECT_EQ(head.path, "//b/c");
       }},
      {"absolute form goes before Host",
       "GET http://b:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.target_form, TargetForm::kAbsolute);
         EXPECT_EQ(head.host, "b:81");
         EXPECT_EQ(head.Value(KnownField::kHost), "b:81");
         EXPECT_EQ(head.path, "/p");
         EXPECT_EQ(head.query, "q");
       }},
      {"absolute form without a path",
       "GET HTTPS://b?q HTTP/1.1\r\nHost: b\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.path, "/");
         EXPECT_EQ(head.query, "q");
       }},
      {"an IPv6 host",
       "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
       [](const RequestHead& head) { EXPECT_EQ(head.host, "[2001:db8::1]:80"); }},
      {"OPTIONS *",
       "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.target_form, TargetForm::kAsterisk);
         EXPECT_EQ(head.path, "*");
       }},
      {"OPTIONS * through a proxy",
       "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) { EXPECT_EQ(head.target_form, TargetForm::kAsterisk); }},
      {"OPTIONS of the root through a proxy",
       "OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.target_form, TargetForm::kAbsolute);
         EXPECT_EQ(head.path, "/");
       }},
      {"a method of one's own, case-sensitive",
       "get / HTTP/1.1\r\nHost: a\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.method, Method::kOther);
         EXPECT_EQ(head.method_name, "get");
       }},
      {"HTTP/1.0 without Host closes",
       "GET / HTTP/1.0\r\n\r\n",
       [](const RequestHead& head) {
         EXPECT_EQ(head.minor_version, 0);
         EXPECT_EQ(head.host, "");
         EXPECT_FALSE(head.keep_alive);
       }},
      {"HTTP/1.0 may ask for more",
       "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
       [](const RequestHead& head) { EXPECT_TRUE(head.keep_alive); }},
      {"HTTP/1.0 knows no expectation",
       "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
       [](const RequestHead& head) { EXPECT_FALSE(head.expect_continue); }},
      {"close goes before keep-alive",
       HeadWith("Connection: keep-alive, Close\r\n"),
       [](const RequestHead& head) { EXPECT_FALSE(head.keep_alive); }},
      {"close in a second field",
       HeadWith("Connection: upgrade\r\nConnection: close\r\n"),
       [](const RequestHead& head) { EXPECT_FALSE(head.keep_alive); }},
      {"close as part of a word is none",
       HeadWith("Connection: closed, not-close\r\n"),
       [](const RequestHead& head) { EXPECT_TRUE(head.keep_alive); }},
      {"Content-Length",
       HeadWith("Content-Length: 42\r\n", "POST"),
       [](const RequestHead& head) {
         EXPECT_EQ(head.framing, Framing::kContentLength);
         EXPECT_EQ(head.content_length, 42U);
       }},
      {"Content-Length 0, and zeros before it",
       HeadWith("content-length: 000\r\n"),
       [](const RequestHead& head) {
         EXPECT_EQ(head.framing, Framing::kContentLength);
         EXPECT_EQ(head.content_length, 0U);
       }},
      {"the largest Content-Length",
       HeadWith("Content-Length: 9223372036854775807\r\n"),
       [](const RequestHead& head) { EXPECT_EQ(head.content_length, 9223372036854775807U); }},
      {"chunked in any case",
       HeadWith("transfer-ENCODING: \tChunked \r\n", "POST"),
       [](const RequestHead& head) { EXPECT_EQ(head.framing, Framing::kChunked); }},
      {"Expect",
       HeadWith("Expect: 100-Continue\r\nContent-Length: 1\r\n", "PUT"),
       [](const RequestHead& head) { EXPECT_TRUE(head.expect_continue); }},
      {"repeated fields are found as such",
       HeadWith("Accept-Encoding: a\r\nX: y\r\naccept-encoding: b\r\nRange: c\r\n"),
       [](const RequestHead& head) {
         EXPECT_EQ(head.Value(KnownField::kAcceptEncoding), "a");
         EXPECT_TRUE(head.Repeated(KnownField::kAcceptEncoding));
         EXPECT_FALSE(head.Repeated(KnownField::kRange));
         EXPECT_FALSE(head.Has(KnownField::kOther));
       }},
  };
}

TEST(RequestHead, UnderstandsWhatIsWellFormed) {
  for (const Accepted& row : AcceptedHeads()) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(row.bytes);
    ASSERT_FALSE(head.refused()) << RefusalOf(*head.refused()).name;
    row.check(*head);
  }
}

TEST(RequestHead, LeavesNothingOfTheRequestBefore) {
  RequestHead head;
  const std::string first =
      "PUT http://b/p?q HTTP/1.0\r\nHost: a\r\nHost2: a\r\nConnection: keep-alive\r\n"
      "Content-Length: 5\r\nCookie: c\r\nCookie: d\r\n\r\n";
  const std::string second = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  ASSERT_FALSE(ParseRequestHead(first, Limits{}, head));
  ASSERT_FALSE(ParseRequestHead(second, Limits{}, head));
  EXPECT_EQ(head.fields().size(), 2U);
  EXPECT_EQ(head.framing, Framing::kNone);
  EXPECT_EQ(head.content_length, 0U);
  EXPECT_EQ(head.host, "a");
  EXPECT_EQ(head.query, "");
  EXPECT_FALSE(head.has_query);
  EXPECT_FALSE(head.keep_alive);
  EXPECT_FALSE(head.Has(KnownField::kCookie));
  EXPECT_FALSE(head.Repeated(KnownField::kCookie));
}

TEST(RequestHead, IsRefusedWhereverItIsCutOff) {
  for (const Accepted& row : AcceptedHeads()) {
    for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
      SCOPED_TRACE(row.why + ", cut at " + std::to_string(cut));
      EXPECT_TRUE(ParsedHead(row.bytes.substr(0, cut)).refused());
    }
  }
}

struct RefusedHead {
  std::string why;
  std::string bytes;
  RefusalKind kind;
};

std::string Line(std::string_view line) {
  return std::string(line) + "\r\nHost: a\r\n\r\n";
}
std::string Length(std::string_view value) {
  return HeadWith(std::string("Content-Length:").append(value).append("\r\n"), "POST");
}
std::string Encoding(std::string_view value) {
  return HeadWith(std::string("Transfer-Encoding:").append(value).append("\r\n"), "POST");
}
std::string HostIs(std::string_view value) {
  return std::string("GET / HTTP/1.1\r\nHost:").append(value).append("\r\n\r\n");
}

using enum RefusalKind;

std::string Nul() {
  return std::string(1, '\0');
}

const std::vector<RefusedHead>& RequestLines() {
  static const auto& rows = *new std::vector<RefusedHead>{
      {"nothing", "", kBrokenHead},
      {"an empty line", "\r\n", kBrokenHead},
      {"two empty lines", "\r\n\r\n", kBrokenHead},
      {"bytes after the head", HeadWith("") + "x", kBrokenHead},
      {"HTTP/0.9", Line("GET /"), kBadRequestLine},
      {"a method alone", Line("GET"), kBadRequestLine},
      {"a method and a space", Line("GET "), kBadRequestLine},
      {"no method", Line(" / HTTP/1.1"), kBadMethod},
      {"two spaces before the target", Line("GET  / HTTP/1.1"), kBadRequestLine},
      {"two spaces before the version", Line("GET /  HTTP/1.1"), kBadRequestLine},
      {"a space in the target", Line("GET /a b HTTP/1.1"), kBadRequestLine},
      {"a tab for a space", Line("GET\t/ HTTP/1.1"), kBadMethod},
      {"a tab before the version", Line("GET /\tHTTP/1.1"), kBadTarget},
      {"a space at the end", Line("GET / HTTP/1.1 "), kBadRequestLine},
      {"a space at the begin", Line(" GET / HTTP/1.1"), kBadMethod},
      {"a method that is no token", Line("G(T / HTTP/1.1"), kBadMethod},
      {"a method above ASCII", Line("G\xc9T / HTTP/1.1"), kBadMethod},
      {"a fragment", Line("GET /a#b HTTP/1.1"), kBadTarget},
      {"no slash", Line("GET a HTTP/1.1"), kBadTarget},
      {"only a query", Line("GET ?a HTTP/1.1"), kBadTarget},
      {"authority form", Line("GET a:80 HTTP/1.1"), kBadTarget},
      {"asterisk for GET", Line("GET * HTTP/1.1"), kBadTarget},
      {"asterisk and more", Line("OPTIONS *a HTTP/1.1"), kBadTarget},
      {"another scheme", Line("GET ftp://a/ HTTP/1.1"), kBadTarget},
      {"a scheme without a host", Line("GET http:///a HTTP/1.1"), kBadTarget},
      {"one slash after the scheme", Line("GET http:/a HTTP/1.1"), kBadTarget},
      {"user information", Line("GET http://u@a/ HTTP/1.1"), kBadTarget},
      {"a backslash in the host", Line("GET http://a\\b/ HTTP/1.1"), kBadTarget},
      {"CONNECT", Line("CONNECT a:80 HTTP/1.1"), kConnectNotSupported},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", kVersionNotSupported},
      {"HTTP/0.9 by name", Line("GET / HTTP/0.9"), kVersionNotSupported},
      {"HTTP/2", Line("GET / HTTP/2"), kBadVersion},
      {"two digits", Line("GET / HTTP/1.10"), kBadVersion},
      {"two digits before the point", Line("GET / HTTP/01.1"), kBadVersion},
      {"lower case", Line("GET / http/1.1"), kBadVersion},
      {"another protocol", Line("GET / RTSP/1.0"), kBadVersion},
      {"a comma for the point", Line("GET / HTTP/1,1"), kBadVersion},
      {"LF alone ends the line", "GET / HTTP/1.1\nHost: a\r\n\r\n", kBareLf},
      {"CR alone ends the line", "GET / HTTP/1.1\rHost: a\r\n\r\n", kBareCr},
      {"NUL in the target", Line("GET /" + Nul() + " HTTP/1.1"), kControlCharacter},
      {"DEL in the target", Line("GET /\x7f HTTP/1.1"), kControlCharacter},
  };
  return rows;
}

const std::vector<RefusedHead>& FieldLines() {
  static const auto& rows = *new std::vector<RefusedHead>{
      {"a space before the colon", HeadWith("A : b\r\n"), kSpaceBeforeColon},
      {"a tab before the colon", HeadWith("Content-Length\t: 5\r\n"), kSpaceBeforeColon},
      {"a space in a name", HeadWith("A b: c\r\n"), kBadFieldName},
      {"a folded value", HeadWith("A: b\r\n c\r\n"), kFoldedField},
      {"a folded value with a tab", HeadWith("A: b\r\n\tc\r\n"), kFoldedField},
      {"a first field that is folded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", kFoldedField},
      {"a line of white space", HeadWith(" \r\n"), kFoldedField},
      {"no colon", HeadWith("A\r\n"), kMissingColon},
      {"no name", HeadWith(": b\r\n"), kBadFieldName},
      {"a name in parentheses", HeadWith("(A): b\r\n"), kBadFieldName},
      {"a name above ASCII", HeadWith("A\xe9: b\r\n"), kBadFieldName},
      {"a name in quotes", HeadWith("\"A\": b\r\n"), kBadFieldName},
      {"NUL in a name", HeadWith("A" + Nul() + ": b\r\n"), kControlCharacter},
      {"NUL in a value", HeadWith("A: b" + Nul() + "\r\n"), kControlCharacter},
      {"DEL in a value", HeadWith("A: \x7f\r\n"), kControlCharacter},
      {"ESC in a value", HeadWith("A: \x1b[0m\r\n"), kControlCharacter},
      {"LF alone in a value", HeadWith("A: b\nC: d\r\n"), kBareLf},
      {"CR alone in a value", HeadWith("A: b\rC: d\r\n"), kBareCr},
      {"CR CR LF", HeadWith("A: b\r\r\n"), kBareCr},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", kMissingHost},
      {"no Host with an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", kMissingHost},
      {"two Hosts", HeadWith("Host: b\r\n"), kRepeatedHost},
      {"the same Host twice", HeadWith("host: a\r\n"), kRepeatedHost},
      {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", kRepeatedHost},
      {"an empty Host", HostIs(""), kBadHost},
      {"a bad Host with an absolute target", "GET http://a/ HTTP/1.1\r\nHost: @\r\n\r\n", kBadHost},
      {"a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", kBadHost},
      {"an expectation that nobody knows", HeadWith("Expect: tea\r\n"), kUnknownExpectation},
      {"one that is known and one that is not",
       HeadWith("Expect: 100-continue, tea\r\n"),
       kUnknownExpectation},
  };
  return rows;
}

// What front and back servers have read differently, by which requests were smuggled.
const std::vector<RefusedHead>& Smuggling() {
  static const auto& rows = *new std::vector<RefusedHead>{
      {"CL.TE",
       HeadWith("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"),
       kLengthAndEncoding},
      {"TE.CL",
       HeadWith("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
       kLengthAndEncoding},
      {"both, one unknown",
       HeadWith("Content-Length: 6\r\nTransfer-Encoding: xchunked\r\n"),
       kLengthAndEncoding},
      {"two lengths",
       HeadWith("Content-Length: 5\r\nContent-Length: 6\r\n"),
       kRepeatedContentLength},
      {"two equal lengths",
       HeadWith("Content-Length: 5\r\ncontent-length: 5\r\n"),
       kRepeatedContentLength},
      {"a list of lengths", Length("5,5"), kBadContentLength},
      {"a list of different lengths", Length(" 5, 6"), kBadContentLength},
      {"a plus", Length(" +5"), kBadContentLength},
      {"a minus", Length(" -5"), kBadContentLength},
      {"hexadecimal", Length(" 0x5"), kBadContentLength},
      {"an underscore, as Python's int() takes it", Length(" 1_0"), kBadContentLength},
      {"a point", Length(" 5.0"), kBadContentLength},
      {"an exponent", Length(" 1e1"), kBadContentLength},
      {"a space within", Length(" 5 5"), kBadContentLength},
      {"a vertical tab",
       Length("\x0b"
              "5"),
       kControlCharacter},
      {"a no-break space",
       Length("\xa0"
              "5"),
       kBadContentLength},
      {"digits above ASCII", Length(" \xd9\xa5"), kBadContentLength},
      {"a quoted number", Length(" \"5\""), kBadContentLength},
      {"nothing", Length(""), kBadContentLength},
      {"NUL after the number", Length(" 5" + Nul()), kControlCharacter},
      {"more than 63 bits", Length(" 9223372036854775808"), kContentLengthTooLarge},
      {"2^64 + 5 is not 5", Length(" 18446744073709551621"), kContentLengthTooLarge},
      {"forty digits", Length(" 1000000000000000000000000000000000000005"), kContentLengthTooLarge},
      {"xchunked", Encoding(" xchunked"), kUnknownTransferEncoding},
      {"chunkedx", Encoding(" chunkedx"), kUnknownTransferEncoding},
      {"chunked twice", Encoding(" chunked, chunked"), kBadTransferEncoding},
      {"chunked in two fields",
       HeadWith("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       kBadTransferEncoding},
      {"chunked and identity", Encoding(" chunked, identity"), kBadTransferEncoding},
      {"identity", Encoding(" identity"), kUnknownTransferEncoding},
      {"identity and chunked", Encoding(" identity, chunked"), kUnknownTransferEncoding},
      {"gzip", Encoding(" gzip"), kUnknownTransferEncoding},
      {"gzip and chunked", Encoding(" gzip, chunked"), kUnknownTransferEncoding},
      {"chunked and gzip", Encoding(" chunked, gzip"), kBadTransferEncoding},
      {"gzip hidden in a second field",
       HeadWith("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"),
       kBadTransferEncoding},
      {"a vertical tab",
       Encoding("\x0b"
                "chunked"),
       kControlCharacter},
      {"a form feed", Encoding(" chunked\x0c"), kControlCharacter},
      {"a no-break space",
       Encoding(" \xa0"
                "chunked"),
       kBadTransferEncoding},
      {"quotes", Encoding(" \"chunked\""), kBadTransferEncoding},
      {"a quote", Encoding(" 'chunked'"), kUnknownTransferEncoding},
      {"a parameter", Encoding(" chunked;a=b"), kBadTransferEncoding},
      {"a comma after", Encoding(" chunked,"), kBadTransferEncoding},
      {"a comma before", Encoding(" ,chunked"), kBadTransferEncoding},
      {"a space within", Encoding(" chun ked"), kBadTransferEncoding},
      {"nothing", Encoding(""), kBadTransferEncoding},
      {"NUL", Encoding(" chunked" + Nul()), kControlCharacter},
      {"a space before the colon", HeadWith("Transfer-Encoding : chunked\r\n"), kSpaceBeforeColon},
      {"a folded value", Encoding("\r\n chunked"), kFoldedField},
      {"an LF before the name",
       HeadWith("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
       kBareLf},
      {"a CR before the name", HeadWith("X: y\rTransfer-Encoding: chunked\r\n"), kBareCr},
      {"in HTTP/1.0",
       "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
       kEncodingInHttp10},
      {"in HTTP/1.0 kept alive, with a length",
       "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
       "Content-Length: 5\r\n\r\n",
       kLengthAndEncoding},
  };
  return rows;
}

void ExpectRefused(const std::vector<RefusedHead>& rows) {
  for (const RefusedHead& row : rows) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(row.bytes);
    ASSERT_TRUE(head.refused());
    EXPECT_EQ(*head.refused(), row.kind) << RefusalOf(*head.refused()).name;
  }
}

TEST(RequestHead, RefusesABadRequestLine) {
  ExpectRefused(RequestLines());
}
TEST(RequestHead, RefusesBadFields) {
  ExpectRefused(FieldLines());
}
TEST(RequestHead, RefusesWhatCouldSmuggleARequest) {
  ExpectRefused(Smuggling());
}

TEST(RequestHead, RefusesEveryControlCharacterEverywhere) {
  const std::string good = "GET /a HTTP/1.1\r\nHost: a\r\nAb: cd\r\n\r\n";
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte <= 0x7f; ++byte) {
      const bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
      std::string bad = good;
      bad[at] = static_cast<char>(byte);
      if (!control || bad == good) continue;
      EXPECT_TRUE(ParsedHead(bad).refused()) << byte << " at " << at;
      HeadScanner scanner((Limits()));
      EXPECT_NE(scanner.Scan(bad).state, HeadScanner::State::kComplete) << byte << " at " << at;
    }
  }
}

TEST(RequestHead, KeepsTheLimits) {
  constexpr Limits kLimits{.request_line_bytes_max = 16, .head_bytes_max = 40, .fields_max = 2};
  const struct {
    std::string_view why;
    std::string bytes;
    std::optional<RefusalKind> kind;
  } rows[] = {
      {"all at their limit", "GET /67 HTTP/1.1\r\nHost: a\r\nA:2345678\r\n\r\n", std::nullopt},
      {"target", "GET /678 HTTP/1.1\r\nHost: a\r\n\r\n", kTargetTooLong},
      {"head", "GET /67 HTTP/1.1\r\nHost: a\r\nA:23456789\r\n\r\n", kHeadTooLarge},
      {"fields", "GET / HTTP/1.1\r\nHost:a\r\nB:\r\nC:\r\n\r\n", kTooManyFields},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    RequestHead head;
    EXPECT_EQ(ParseRequestHead(row.bytes, kLimits, head), row.kind);
  }
}

TEST(RequestHead, HasRoomForAllFieldsItMayHave) {
  std::string bytes = "GET / HTTP/1.1\r\n";
  for (std::size_t i = 1; i < kFieldsCapacity; ++i)
    bytes += "A: b\r\n";
  bytes += "Host: a\r\n";
  const std::string full = bytes + "\r\n";
  RequestHead head;
  const Limits limits{.fields_max = kFieldsCapacity};
  ASSERT_FALSE(ParseRequestHead(full, limits, head));
  EXPECT_EQ(head.host, "a");
  EXPECT_EQ(head.Find(KnownField::kHost), &head.fields().back());
  EXPECT_EQ(ParseRequestHead(bytes + "B: c\r\n\r\n", limits, head), kTooManyFields);
}

TEST(Host, IsANameOrAnAddressWithAPort) {
  for (const char* host : {"a",
                           "A.b-c_d",
                           "127.0.0.1",
                           "a:",
                           "a:0",
                           "a:65535",
                           "[::1]",
                           "[::1]:80",
                           "[::ffff:1.2.3.4]:",
                           "a.",
                           "1.2.3"}) {
    SCOPED_TRACE(host);
    EXPECT_TRUE(IsValidHost(host));
  }
  for (const char* host :
       {"",     ":80",    "a:b",        "a:65536",   "a:+1", "a b",    "a,b",
        "a/b",  "a@b",    "a?",         "a#",        "a\\b", "a:1:2",  "[::1",
        "::1",  "[::1]a", "[::1]80",    "[1.2.3.4]", "[]",   "[v1.a]", "[::1%25eth0]",
        "a%41", "\xe9",   "a:\xd9\xa1", "<a>",       "\"a\""}) {
    SCOPED_TRACE(host);
    EXPECT_FALSE(IsValidHost(host));
  }
}

}  // namespace
}  // namespace onebox::http
