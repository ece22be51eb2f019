#include "http2/request_text.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/request_head.h"

namespace onebox::http2 {
namespace {

using http::RefusalKind;
using Fields = std::vector<std::pair<std::string, std::string>>;
using Ends = RequestText::Ends;

const Fields kGet = {{":method", "GET"},
                     {":scheme", "https"},
                     {":authority", "a.example"},
                     {":path", "/p?q"}};

Fields With(Fields more, const Fields& first = kGet) {
  Fields fields = first;
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

// The request with other pseudo-header fields; an empty value leaves one out.
Fields Asking(const Fields& instead) {
  Fields fields = kGet;
  for (const auto& [name, value] : instead) {
    const auto same = [&name = name](const auto& field) { return field.first == name; };
    const auto found = std::find_if(fields.begin(), fields.end(), same);
    if (found == fields.end()) {
      fields.emplace_back(name, value);
    } else if (value.empty()) {
      fields.erase(found);
    } else {
      found->second = value;
    }
  }
  return fields;
}

std::optional<RefusalKind> Write(RequestText& text, const Fields& fields, Ends ends) {
  text.Begin();
  for (const auto& [name, value] : fields)
    text.Take(name, value);
  return text.Finish(ends);
}

struct Written {
  std::string why;
  Fields fields;
  Ends ends = Ends::kYes;
  std::string text;
};

TEST(RequestText, IsTheHeadThatHttp1Has) {
  const std::vector<Written> cases = {
      {"a request as browsers send it",
       With({{"user-agent", "x"}, {"accept", "*/*"}, {"te", "trailers"}}),
       Ends::kYes,
       "GET /p?q HTTP/1.1\r\nhost: a.example\r\nuser-agent: x\r\naccept: */*\r\nte: "
       "trailers\r\n\r\n"},
      {"cookies that were split are one again",
       With({{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", "c=3"}}),
       Ends::kYes,
       "GET /p?q HTTP/1.1\r\nhost: a.example\r\nx: y\r\ncookie: a=1; b=2; c=3\r\n\r\n"},
      {"a body of unknown length",
       Asking({{":method", "POST"}}),
       Ends::kNo,
       "POST /p?q HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n"},
      {"a body of known length",
       With({{"content-length", "5"}}, Asking({{":method", "POST"}})),
       Ends::kNo,
       "POST /p?q HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n"},
      {"Host alone",
       With({{"host", "b"}}, Asking({{":authority", ""}})),
       Ends::kYes,
       "GET /p?q HTTP/1.1\r\nhost: b\r\n\r\n"},
      {"the same host twice",
       With({{"host", "a.example"}}),
       Ends::kYes,
       "GET /p?q HTTP/1.1\r\nhost: a.example\r\n\r\n"},
      {"OPTIONS *",
       Asking({{":method", "OPTIONS"}, {":path", "*"}}),
       Ends::kYes,
       "OPTIONS * HTTP/1.1\r\nhost: a.example\r\n\r\n"},
      {"a WebSocket",
       Asking({{":method", "CONNECT"}, {":protocol", "websocket"}}),
       Ends::kNo,
       "GET /p?q HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"},
      {"an empty value",
       With({{"x", ""}}),
       Ends::kYes,
       "GET /p?q HTTP/1.1\r\nhost: a.example\r\nx: \r\n\r\n"},
  };
  RequestText text{http::Limits{}};
  for (const Written& one : cases) {
    SCOPED_TRACE(one.why);
    EXPECT_EQ(Write(text, one.fields, one.ends), std::nullopt);
    EXPECT_EQ(text.text(), one.text);
    http::RequestHead head;
    EXPECT_EQ(http::ParseRequestHead(text.text(), http::Limits{}, head), std::nullopt);
    EXPECT_EQ(text.websocket(), one.why == "a WebSocket");
  }
}

struct RefusedHead {
  std::string why;
  Fields fields;
  RefusalKind kind;
  Ends ends = Ends::kYes;
};

std::vector<RefusedHead> RefusedHeads() {
  std::vector<RefusedHead> cases = {
      {"no method", Asking({{":method", ""}}), RefusalKind::kPseudoField},
      {"no scheme", Asking({{":scheme", ""}}), RefusalKind::kPseudoField},
      {"no path", Asking({{":path", ""}}), RefusalKind::kPseudoField},
      {"nothing at all", {}, RefusalKind::kPseudoField},
      {"a scheme that nobody serves", Asking({{":scheme", "ftp"}}), RefusalKind::kPseudoField},
      {"an unknown pseudo-header", With({{":status", "200"}}), RefusalKind::kPseudoField},
      {"a repeated one", With({{":path", "/"}}), RefusalKind::kPseudoField},
      {"one after the fields", With({{"x", "y"}, {":path", "/"}}), RefusalKind::kPseudoField},
      {"a protocol without CONNECT",
       Asking({{":protocol", "websocket"}}),
       RefusalKind::kPseudoField},
      {"CONNECT", Asking({{":method", "CONNECT"}}), RefusalKind::kConnectNotSupported},
      {"CONNECT for something else",
       Asking({{":method", "CONNECT"}, {":protocol", "udp"}}),
       RefusalKind::kConnectNotSupported},
      {"a method with a space",
       Asking({{":method", "GET /x HTTP/1.1\r\nA: b"}}),
       RefusalKind::kBadMethod},
      {"a path with a space", Asking({{":path", "/ HTTP/1.1"}}), RefusalKind::kBadTarget},
      {"a path with a line of its own",
       Asking({{":path", "/ HTTP/1.1\r\nX: y"}}),
       RefusalKind::kBadTarget},
      {"a path with a fragment", Asking({{":path", "/a#b"}}), RefusalKind::kBadTarget},
      {"an absolute target", Asking({{":path", "http://b/"}}), RefusalKind::kBadTarget},
      {"* without OPTIONS", Asking({{":path", "*"}}), RefusalKind::kBadTarget},
      {"an authority with a line of its own",
       Asking({{":authority", "a\r\nX: y"}}),
       RefusalKind::kBadHost},
      {"an authority with a space before it",
       Asking({{":authority", " a"}}),
       RefusalKind::kBadHost},
      {"another Host", With({{"host", "b"}}), RefusalKind::kRepeatedHost},
      {"a name in upper case", With({{"X", "y"}}), RefusalKind::kBadFieldName},
      {"a name with a space", With({{"x ", "y"}}), RefusalKind::kBadFieldName},
      {"a name with a colon", With({{"x:", "y"}}), RefusalKind::kBadFieldName},
      {"a name with a line of its own", With({{"x: y\r\nz", "y"}}), RefusalKind::kBadFieldName},
      {"no name", With({{"", "y"}}), RefusalKind::kBadFieldName},
      {"a value with a CR", With({{"x", "a\rb"}}), RefusalKind::kBadFieldValue},
      {"a value with a LF", With({{"x", "a\nb"}}), RefusalKind::kBadFieldValue},
      {"a value with both", With({{"x", "a\r\nhost: b"}}), RefusalKind::kBadFieldValue},
      {"a value with a NUL", With({{"x", std::string("a\0b", 3)}}), RefusalKind::kBadFieldValue},
      {"a value with a space before", With({{"x", " a"}}), RefusalKind::kBadFieldValue},
      {"a value with a tab behind", With({{"x", "a\t"}}), RefusalKind::kBadFieldValue},
      {"a cookie with a line of its own",
       With({{"cookie", "a\r\nb: c"}}),
       RefusalKind::kBadFieldValue},
      {"a body that is announced and not there",
       With({{"content-length", "5"}}),
       RefusalKind::kBodyLength},
      {"TE other than trailers", With({{"te", "gzip"}}), RefusalKind::kConnectionField},
      {"too much", With({{"x", std::string(40'000, 'x')}}), RefusalKind::kHeadTooLarge},
  };
  for (const char* name :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    cases.push_back({name, With({{name, "x"}}), RefusalKind::kConnectionField});
  }
  return cases;
}

TEST(RequestText, RefusesWhatCannotBeALineOfItsOwn) {
  RequestText text{http::Limits{}};
  for (const RefusedHead& one : RefusedHeads()) {
    SCOPED_TRACE(one.why);
    EXPECT_EQ(Write(text, one.fields, one.ends), one.kind);
    EXPECT_EQ(Write(text, kGet, Ends::kYes), std::nullopt) << "the next one is no worse for it";
  }
}

struct RefusedByParser {
  std::string why;
  Fields fields;
  RefusalKind kind;
};

TEST(RequestText, LeavesTheRestToTheParser) {
  const std::vector<RefusedByParser> cases = {
      {"no host", Asking({{":authority", ""}}), RefusalKind::kMissingHost},
      {"a user in the host", Asking({{":authority", "u@a"}}), RefusalKind::kBadHost},
      {"two Host fields",
       With({{"host", "b"}, {"host", "b"}}, Asking({{":authority", ""}})),
       RefusalKind::kRepeatedHost},
      {"two lengths",
       With({{"content-length", "0"}, {"content-length", "0"}}),
       RefusalKind::kRepeatedContentLength},
      {"a length with a sign", With({{"content-length", "+0"}}), RefusalKind::kBadContentLength},
      {"another expectation", With({{"expect", "x"}}), RefusalKind::kUnknownExpectation},
      {"a path longer than a request line may be",
       Asking({{":path", "/" + std::string(9000, 'x')}}),
       RefusalKind::kTargetTooLong},
      {"too many fields", With(Fields(101, {"x", "y"})), RefusalKind::kTooManyFields},
  };
  RequestText text{http::Limits{}};
  http::RequestHead head;
  for (const RefusedByParser& one : cases) {
    SCOPED_TRACE(one.why);
    EXPECT_EQ(Write(text, one.fields, Ends::kYes), std::nullopt);
    EXPECT_EQ(http::ParseRequestHead(text.text(), http::Limits{}, head), one.kind);
  }
}

TEST(RequestText, HoldsNoMoreThanTheLimitWhateverComes) {
  RequestText text{{.head_bytes_max = 1000}};
  text.Begin();
  for (const auto& [name, value] : kGet)
    text.Take(name, value);
  for (int i = 0; i < 100'000; ++i)
    text.Take("x", "0123456789");
  EXPECT_EQ(text.Finish(Ends::kYes), RefusalKind::kHeadTooLarge);
  EXPECT_LE(text.text().size(), 1000U);
}

TEST(RequestText, ReadsTheUrgency) {
  RequestText text{http::Limits{}};
  const std::vector<std::pair<std::string, int>> cases = {{"u=0", 0},
                                                          {"u=5, i", 5},
                                                          {"i,u=7", 7},
                                                          {"u=8", 3},
                                                          {"u=-1", 3},
                                                          {"u", 3},
                                                          {"", 3},
                                                          {",,,", 3},
                                                          {"u=1,u=2", 2}};
  for (const auto& [value, urgency] : cases) {
    SCOPED_TRACE(value);
    EXPECT_EQ(Write(text, With({{"priority", value}}), Ends::kYes), std::nullopt);
    EXPECT_EQ(text.urgency(), urgency);
  }
}

TEST(Trailers, MayHoldFieldsAlone) {
  EXPECT_EQ(CheckTrailer("x-checksum", "1"), std::nullopt);
  EXPECT_EQ(CheckTrailer(":path", "/"), RefusalKind::kPseudoField);
  EXPECT_EQ(CheckTrailer("X", "1"), RefusalKind::kBadTrailer);
  EXPECT_EQ(CheckTrailer("x", "a\r\nb"), RefusalKind::kBadTrailer);
  EXPECT_EQ(CheckTrailer("connection", "x"), RefusalKind::kConnectionField);
}

}  // namespace
}  // namespace onebox::http2
