#include "webcache/question.h"

#include <string>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::webcache {
namespace {

struct Asked {
  explicit Asked(const std::string& target,
                 std::string_view fields,
                 const Rules& rules,
                 std::string_view method = "GET")
      : head(std::string(method) + " " + target + " HTTP/1.1\r\nHost: A.example\r\n" +
             std::string(fields) + "\r\n") {
    EXPECT_FALSE(head.refused()) << target;
    std::string storage;
    http::NormalPath path;
    EXPECT_FALSE(http::NormalizePath(head->path, storage, path)) << target;
    question.Read(*head, path, {}, rules);
  }
  std::string Fetch(const Answer* known = nullptr) const {
    std::string out;
    question.AppendFetchHead(out, *head, Question::Coded::kByUs, known);
    return out;
  }

  http::ParsedHead head;
  Question question;
};

TEST(Question, NamesWhatIsAskedFor) {
  const Rules plain;
  const Rules named{.ignore_cookies = {"session", "_ga*"},
                    .ignore_query = {"utm_*", "ref"},
                    .key_cookies = {"country"},
                    .key_headers = {"accept-language"}};
  const Rules no_query{.key_query = false};
  const struct {
    std::string_view why;
    std::string target;
    std::string_view fields;
    const Rules& rules;
    std::string_view key;
    bool strips;
  } rows[] = {
      {"as it is", "/a?b", "", plain, "http://a.example/a?b", false},
      {"an empty query", "/a?", "", plain, "http://a.example/a?", false},
      {"no query", "/a", "", plain, "http://a.example/a", false},
      {"the query does not matter", "/a?b", "", no_query, "http://a.example/a", true},
      {"an escape that is needed", "/caf%C3%A9", "", plain, "http://a.example/caf%C3%A9", false},
      {"some of the query does not matter",
       "/a?utm_source=x&b=1&ref=y&reference=z",
       "",
       named,
       "http://a.example/a?b=1&reference=z",
       true},
      {"none of it does", "/a?ref", "", named, "http://a.example/a", true},
      {"cookies that do not matter",
       "/",
       "Cookie: session=1; _ga=2; _ga_X=3\r\n",
       named,
       "http://a.example/",
       true},
      {"one that does",
       "/",
       "Cookie: session=1; country=de\r\n",
       named,
       "http://a.example/\ncookies=country=de",
       true},
      {"in another field",
       "/",
       "Cookie: session=1\r\nCookie: country=de\r\n",
       named,
       "http://a.example/\ncookies=country=de",
       true},
      {"a header that does",
       "/",
       "accept-Language: de\r\n",
       named,
       "http://a.example/\naccept-language=de",
       false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const Asked asked(row.target, row.fields, row.rules);
    ASSERT_EQ(asked.question.bypass(), Bypass::kNo);
    EXPECT_EQ(asked.question.key().text(), row.key);
    EXPECT_EQ(asked.question.strips(), row.strips);
  }
}

TEST(Question, IsNotAskedWhereTheAnswerMayBeForOne) {
  const Rules named{.ignore_cookies = {"session"}};
  const struct {
    std::string_view why;
    std::string_view method;
    std::string target;
    std::string_view fields;
    Bypass bypass;
  } rows[] = {
      {"a cookie that is not named", "GET", "/", "Cookie: id=1\r\n", Bypass::kCookie},
      {"beside one that is", "GET", "/", "Cookie: session=1; id=1\r\n", Bypass::kCookie},
      {"the beginning of a name", "GET", "/", "Cookie: session2=1\r\n", Bypass::kCookie},
      {"another case", "GET", "/", "Cookie: Session=1\r\n", Bypass::kCookie},
      {"what is no pair", "GET", "/", "Cookie: x\r\n", Bypass::kCookie},
      {"an unsafe method", "POST", "/", "Content-Length: 0\r\n", Bypass::kMethod},
      {"a GET with a body", "GET", "/", "Content-Length: 1\r\n", Bypass::kBody},
      {"a WebSocket", "GET", "/", "Connection: Upgrade\r\nUpgrade: websocket\r\n", Bypass::kBody},
      {"an escape that is not needed", "GET", "/%61", "", Bypass::kSpelling},
      {"one in lower case", "GET", "/caf%c3%a9", "", Bypass::kSpelling},
      {"none where one is needed", "GET", "/caf\xc3\xa9", "", Bypass::kSpelling},
      {"dot segments", "GET", "/a/../b", "", Bypass::kSpelling},
      {"an encoded slash", "GET", "/a%2Fb", "", Bypass::kSpelling},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    EXPECT_EQ(Asked(row.target, row.fields, named, row.method).question.bypass(), row.bypass);
  }
}

// No answer for all is made from what only this client said.
TEST(Question, AsksTheAppWithoutWhatTheKeyDoesNotHold) {
  const Rules rules{
      .ignore_cookies = {"session"}, .ignore_query = {"utm_*"}, .key_cookies = {"country"}};
  const Asked asked("/p?utm_source=<b>&q=1",
                    "Cookie: session=1; country=de\r\nAccept: text/html\r\nRange: bytes=0-1\r\n"
                    "If-None-Match: \"x\"\r\nIf-Modified-Since: x\r\nIf-Range: \"x\"\r\n"
                    "Cache-Control: no-cache\r\nPragma: no-cache\r\nAccept-Encoding: br\r\n"
                    "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin\r\n",
                    rules,
                    "HEAD");
  EXPECT_EQ(asked.Fetch(),
            "GET /p?q=1 HTTP/1.1\r\nHost: A.example\r\nAccept: text/html\r\n"
            "Cookie: country=de\r\n\r\n");
  Recorded recorded{.fields = "ETag: \"t\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"};
  recorded.bytes = std::make_shared<const std::string>();
  const Answer known(std::move(recorded));
  EXPECT_EQ(asked.Fetch(&known),
            "GET /p?q=1 HTTP/1.1\r\nHost: A.example\r\nAccept: text/html\r\n"
            "Cookie: country=de\r\nIf-None-Match: \"t\"\r\n"
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(Question, TakesTheHostAndSchemeThatTheAppIsTold) {
  const http::ParsedHead head("GET / HTTP/1.1\r\nHost: inside\r\n\r\n");
  http::NormalPath path;
  std::string storage;
  ASSERT_FALSE(http::NormalizePath(head->path, storage, path));
  Question question;
  http::Origin origin;
  origin.scheme = "https";
  origin.host = "Out.example";
  question.Read(*head, path, origin, {});
  EXPECT_EQ(question.key().text(), "https://out.example/");
}

TEST(Question, ReadsWhatTheClientWants) {
  const Asked asked("/", "Cache-Control: no-cache\r\nCache-Control: max-age=5\r\n", {});
  EXPECT_TRUE(asked.question.asked().control.no_cache);
  EXPECT_EQ(asked.question.asked().control.max_age, std::chrono::seconds(5));
  EXPECT_TRUE(Asked("/", "Authorization: Basic x\r\n", {}).question.asked().authorization);
}

}  // namespace
}  // namespace onebox::webcache
