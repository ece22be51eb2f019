#include "front/router.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

TEST(PathPattern, MatchesWhatItSays) {
  struct Case {
    const char* pattern;
    const char* path;
    bool matches;
    const char* why;
  };
  const Case cases[] = {
      {"/", "/", true, "the root"},
      {"/", "/a", false, "the root alone"},
      {"/api/login", "/api/login", true, "exact"},
      {"/api/login", "/api/login/", false, "a slash more is another path"},
      {"/api/login", "/api/Login", false, "paths have their case"},
      {"/api/login", "/api/logins", false, "not a prefix"},
      {"/reports/*", "/reports/1", true, "below it"},
      {"/reports/*", "/reports/1/pdf", true, "far below it"},
      {"/reports/*", "/reports/", true, "an empty segment"},
      {"/reports/*", "/reports", false, "not below it"},
      {"/reports/*", "/reports2/x", false, "segments are whole"},
      {"/reports/**", "/reports/1/pdf", true, "the same as *"},
      {"/*", "/", true, "everything"},
      {"/*", "/a/b", true, "everything"},
      {"/api/*/export", "/api/7/export", true, "one segment"},
      {"/api/*/export", "/api/7/8/export", false, "not two"},
      {"/api/*/export", "/api/export", false, "not none"},
      {"/api/*/export", "/api//export", true, "an empty segment is one"},
      {"/api/*/export", "/api/7/export/x", false, "to its end"},
      {"/a/**/b", "/a/b", true, "none"},
      {"/a/**/b", "/a/x/y/b", true, "two"},
      {"/a/**/b", "/a/x/b/y", false, "b is the last"},
      {"/a/**/b", "/a/b/x/b", true, "the first b may be one of them"},
      {"/a/**/b/*/c", "/a/b/x/b/y/c", true, "goes back to the last **"},
      {"/a/**/b/*/c", "/a/b/x/y/c", false, "b, one, c"},
      {"/**/x/**/y", "/x/1/2/y", true, "two of them"},
      {"/**/x/**/y", "/1/x/2", false, "no y"},
      {"/*/x/*", "/1/x/2/3", true, "the last * is open"},
      {"/*/x/*", "/1/x", false, "below it"},
      {"/a/*/b", "/a/**/b", true, "stars of a path are characters"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.pattern) + " " + one.path + ": " + one.why);
    const auto pattern = PathPattern::Parse(one.pattern);
    ASSERT_TRUE(pattern);
    EXPECT_EQ(pattern->Matches(one.path), one.matches);
  }
}

TEST(PathPattern, IsAPathWhoseStarsAreWholeSegments) {
  for (const char* text : {"", "a", "*", "/a*", "/*.html", "/a/***", "/a?b", "/a#b"}) {
    EXPECT_FALSE(PathPattern::Parse(text)) << text;
  }
  EXPECT_FALSE(PathPattern::Parse(std::string_view("/a\0", 3)));
}

TEST(Covers, SaysWhichRouteCanNeverMatch) {
  constexpr std::uint32_t kAll = 0;
  const std::uint32_t get = MethodBit(http::Method::kGet);
  const std::uint32_t post = MethodBit(http::Method::kPost);
  struct Case {
    Route earlier, later;
    bool covers;
  };
  const Case cases[] = {
      {{"/a", kAll, {}}, {"/a", kAll, {}}, true},
      {{"/a", get, {}}, {"/a", kAll, {}}, false},
      {{"/a", get, {}}, {"/a", post, {}}, false},
      {{"/a", get | post, {}}, {"/a", post, {}}, true},
      {{"/a", kAll, {}}, {"/a", post, {}}, true},
      {{"/*", kAll, {}}, {"/a/b", kAll, {}}, true},
      {{"/*", kAll, {}}, {"/a/*/b", kAll, {}}, true},
      {{"/api/*", kAll, {}}, {"/api/v1/*", kAll, {}}, true},
      {{"/api/v1/*", kAll, {}}, {"/api/*", kAll, {}}, false},
      {{"/api/*", kAll, {}}, {"/api", kAll, {}}, false},
      {{"/api/*/x", kAll, {}}, {"/api/7/x", kAll, {}}, true},
      {{"/api/7/x", kAll, {}}, {"/api/*/x", kAll, {}}, false},
      {{"/api/*/x", kAll, {}}, {"/api/**/x", kAll, {}}, false},
      {{"/api/**/x", kAll, {}}, {"/api/*/x", kAll, {}}, true},
      {{"/api/*/x/*", kAll, {}}, {"/api/*/x/y/*", kAll, {}}, true},
      {{"/*/x", kAll, {}}, {"/*", kAll, {}}, false},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Covers(one.earlier, one.later), one.covers)
        << one.earlier.path << " " << one.later.path;
  }
}

TEST(Router, TakesTheFirstThatMatchesAndTheRestIfNone) {
  Settings settings;
  settings.routes = {{"/api/login", MethodBit(http::Method::kPost), {}},
                     {"/api/*", 0, {}},
                     {"/api/login/help", 0, {}}};
  for (std::uint32_t i = 0; i < settings.routes.size(); ++i) {
    settings.routes[i].rules.number = i;
  }
  settings.rest.number = 3;
  const Router router(settings);
  EXPECT_EQ(router.Match(http::Method::kPost, "/api/login").number, 0U);
  EXPECT_EQ(router.Match(http::Method::kGet, "/api/login").number, 1U);
  EXPECT_EQ(router.Match(http::Method::kOther, "/api/login").number, 1U);
  EXPECT_EQ(router.Match(http::Method::kGet, "/api/login/help").number, 1U);
  EXPECT_EQ(router.Match(http::Method::kGet, "/").number, 3U);
}

}  // namespace
}  // namespace onebox::front
