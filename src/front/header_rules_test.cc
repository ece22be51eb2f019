#include "front/header_rules.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

constexpr std::string_view kAnswer =
    "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\n";

std::string Applied(const HeaderRules& rules, std::string lines, bool secure = false) {
  const std::string before = "HTTP/1.1 200 OK\r\n";
  lines.insert(0, before);
  rules.Apply(lines, before.size(), secure);
  EXPECT_EQ(lines.substr(0, before.size()), before);
  return lines.substr(before.size());
}

TEST(HeaderRules, ChangeTheFieldsOfARequestAsLinesOfAnAnswer) {
  const HeaderRules rules =
      HeaderRules().Under({.remove = {"x-a"},
                           .set = {{"Server", "other"}, {"X-Empty", ""}},
                           .add = {{"Content-Type", "text/plain"}},
                           .defaults = {{"CONTENT-TYPE", "no"}, {"X-B", "b: c"}}});
  std::vector<channel::Field> fields = {
      {"Content-Type", "text/html"}, {"Server", "onebox"}, {"X-A", "1"}, {"x-a", "2"}};
  rules.Apply(fields);
  std::string lines;
  for (const channel::Field& field : fields)
    lines.append(field.name).append(": ").append(field.value).append("\r\n");
  EXPECT_EQ(lines, Applied(rules, std::string(kAnswer)));
  EXPECT_EQ(lines,
            "Content-Type: text/html\r\nServer: other\r\nX-Empty: \r\n"
            "Content-Type: text/plain\r\nX-B: b: c\r\n");
}

TEST(HeaderRules, OfRequestsAreNotAboutWhoIsAsked) {
  for (const char* name : {"Host", "Connection", "te", "Content-Length", "Expect", "X-Request-ID"})
    EXPECT_FALSE(IsFieldForRequestRules(name)) << name;
  for (const char* name : {"Cookie", "X-Forwarded-Proto", "Accept-Encoding", "Authorization"})
    EXPECT_TRUE(IsFieldForRequestRules(name)) << name;
}

TEST(HeaderRules, ChangeWhatTheyAreAbout) {
  const struct {
    const char* why;
    HeaderChanges changes;
    const char* lines;
  } rows[] = {
      {"nothing", {}, "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\n"},
      {"remove, in any case, each of them",
       {.remove = {"server", "X-A"}, .set = {}, .add = {}, .defaults = {}},
       "Content-Type: text/html\r\n"},
      {"set, in place of all",
       {.remove = {}, .set = {{"X-A", "3"}}, .add = {}, .defaults = {}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 3\r\n"},
      {"set what is not there",
       {.remove = {}, .set = {{"X-B", ""}}, .add = {}, .defaults = {}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\nX-B: \r\n"},
      {"add",
       {.remove = {}, .set = {}, .add = {{"X-A", "3"}}, .defaults = {}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\nX-A: 3\r\n"},
      {"defaults",
       {.remove = {}, .set = {}, .add = {}, .defaults = {{"X-A", "3"}, {"X-B", "4"}}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\nX-B: 4\r\n"},
      {"a name that another begins with is another",
       {.remove = {"X", "Content"}, .set = {}, .add = {}, .defaults = {}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 1\r\nx-a: 2\r\n"},
      {"remove and add",
       {.remove = {"X-A"}, .set = {}, .add = {{"X-A", "5"}, {"X-A", "6"}}, .defaults = {}},
       "Content-Type: text/html\r\nServer: onebox\r\nX-A: 5\r\nX-A: 6\r\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    EXPECT_EQ(Applied(HeaderRules().Under(row.changes), std::string(kAnswer)), row.lines);
  }
}

TEST(HeaderRules, OfANarrowerTableHoldOverThoseOfAWiderOne) {
  const HeaderRules wide = HeaderRules().Under({.remove = {"X-Removed"},
                                                .set = {{"X-Set", "wide"}},
                                                .add = {{"X-Added", "wide"}},
                                                .defaults = {{"X-Default", "wide"}}});
  const auto with = [&](const HeaderChanges& narrower) {
    return Applied(wide.Under(narrower), "X-Removed: app\r\nX-Set: app\r\n");
  };
  EXPECT_EQ(with({}), "X-Set: wide\r\nX-Added: wide\r\nX-Default: wide\r\n");
  EXPECT_EQ(
      with({.remove = {"x-set", "x-added", "x-default"}, .set = {}, .add = {}, .defaults = {}}),
      "");
  EXPECT_EQ(
      with({.remove = {}, .set = {{"x-set", "n"}, {"X-Removed", "n"}}, .add = {}, .defaults = {}}),
      "X-Added: wide\r\nX-Default: wide\r\nx-set: n\r\nX-Removed: n\r\n");
  EXPECT_EQ(with({.remove = {}, .set = {}, .add = {{"X-Added", "n"}}, .defaults = {}}),
            "X-Set: wide\r\nX-Added: wide\r\nX-Default: wide\r\nX-Added: n\r\n");
  EXPECT_EQ(
      with({.remove = {}, .set = {}, .add = {}, .defaults = {{"X-Default", "n"}, {"X-Set", "n"}}}),
      "X-Set: wide\r\nX-Added: wide\r\nX-Default: n\r\n");
}

TEST(HeaderRules, MakeBrowsersCarefulWhereTheAppSaysNothing) {
  const std::string plain =
      Applied(HeaderRules(SecurityHeaders::kOn), "x-frame-options: ALLOW\r\n");
  EXPECT_NE(plain.find("X-Content-Type-Options: nosniff\r\n"), plain.npos);
  EXPECT_EQ(plain.find("SAMEORIGIN"), plain.npos) << "the app's own holds";
  EXPECT_EQ(plain.find("Strict-Transport"), plain.npos) << "it is not for plain text";
  const std::string secure = Applied(HeaderRules(SecurityHeaders::kStrict), "", true);
  EXPECT_NE(secure.find("Strict-Transport-Security: max-age="), secure.npos);
  EXPECT_NE(secure.find("frame-ancestors 'none'"), secure.npos);
  EXPECT_TRUE(HeaderRules(SecurityHeaders::kOff).empty());
}

TEST(HeaderRules, AreNotAboutFramingAndTheConnection) {
  for (const char* name : {"Server", "Date", "X-A", "Set-Cookie", "content-encoding"})
    EXPECT_TRUE(IsFieldForRules(name)) << name;
  for (const char* name : {"Content-Length",
                           "transfer-encoding",
                           "CONNECTION",
                           "Upgrade",
                           "Keep-Alive",
                           "Trailer",
                           "TE",
                           "Content-Range",
                           "",
                           "X A",
                           "X:",
                           "X\r"})
    EXPECT_FALSE(IsFieldForRules(name)) << name;
}

}  // namespace
}  // namespace onebox::front
