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
  EXPECT_EQ(router.Match("", http::Method::kPost, "/api/login").rules->number, 0U);
  EXPECT_EQ(router.Match("", http::Method::kGet, "/api/login").rules->number, 1U);
  EXPECT_EQ(router.Match("", http::Method::kOther, "/api/login").rules->number, 1U);
  EXPECT_EQ(router.Match("", http::Method::kGet, "/api/login/help").rules->number, 1U);
  EXPECT_EQ(router.Match("", http::Method::kGet, "/").rules->number, 3U);
}

Route RouteOf(std::string path, std::uint32_t number, std::uint32_t site = kEverySite) {
  Route route{.path = std::move(path), .methods = 0, .rules = {}, .site = site};
  route.rules.number = number;
  return route;
}

Route MountOf(std::string path, std::uint32_t number, std::uint32_t site = kEverySite) {
  Route mount = RouteOf(std::move(path), 0, site);
  mount.rules.files.emplace().number = number;
  return mount;
}

Settings TwoSites() {
  Settings settings;
  settings.mounts = {MountOf("/files/*", 10, 1), MountOf("/static/*", 11)};
  settings.routes = {RouteOf("/healthz", 0), RouteOf("/api/*", 1), RouteOf("/api/*", 2, 0)};
  settings.rest.number = 3;
  settings.sites = {{.hosts = {"game.example", "*.game.example"}, .rest = {}},
                    {.hosts = {"docs.example"}, .rest = {}}};
  settings.sites[0].rest.number = 4;
  settings.sites[1].rest.number = 5;
  return settings;
}

TEST(Router, TakesASitesRoutesBeforeThoseOfEverySite) {
  const struct {
    const char* host;
    const char* path;
    std::uint32_t number;
  } rows[] = {
      {"game.example", "/api/x", 2},
      {"WWW.game.example:8000", "/api/x", 2},
      {"docs.example", "/api/x", 1},
      {"other.example", "/api/x", 1},
      {"", "/api/x", 1},
      {"game.example", "/healthz", 0},
      {"game.example", "/", 4},
      {"docs.example", "/", 5},
      {"other.example", "/", 3},
  };
  const Settings settings = TwoSites();
  const Router router(settings);
  EXPECT_TRUE(router.has_sites());
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.host) + row.path);
    EXPECT_EQ(router.Match(row.host, http::Method::kGet, row.path).rules->number, row.number);
  }
}

TEST(Router, LetsAMountAnswerUnderTheRulesOfTheRoute) {
  Settings settings = TwoSites();
  settings.routes.push_back(RouteOf("/static/*", 6));
  settings.routes.push_back(RouteOf("/files/*", 7, 1));
  settings.routes.back().rules.respond.emplace();
  settings.sites.push_back({.hosts = {"spa.example"}, .rest = {}});
  settings.routes.push_back(RouteOf("/*", 8, 2));
  settings.routes.back().rules.files.emplace().number = 20;
  const struct {
    const char* why;
    const char* host;
    const char* path;
    std::uint32_t rules;
    std::uint32_t files;  // 99: none
  } rows[] = {
      {"of every site", "game.example", "/static/a", 6, 11},
      {"of the site, before what its route says", "docs.example", "/files/a", 7, 10},
      {"not of another site", "game.example", "/files/a", 4, 99},
      {"the site's own route says who answers", "spa.example", "/static/a", 8, 20},
      {"none", "other.example", "/", 3, 99},
  };
  const Router router(settings);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const Router::Way way = router.Match(row.host, http::Method::kGet, row.path);
    EXPECT_EQ(way.rules->number, row.rules);
    EXPECT_EQ(way.files == nullptr ? 99 : way.files->number, row.files);
  }
  EXPECT_EQ(router.Match("", http::Method::kGet, "/static/a/b").rest, "a/b");
}

TEST(Router, GivesHostsOfNoSiteWhatIsSaidOfThem) {
  Settings settings = TwoSites();
  settings.unknown_hosts.emplace().number = 9;
  const Router router(settings);
  EXPECT_EQ(router.Match("other.example", http::Method::kGet, "/healthz").rules->number, 9U);
  EXPECT_EQ(router.Match("", http::Method::kGet, "/").rules->number, 9U);
  EXPECT_EQ(router.Match("docs.example", http::Method::kGet, "/healthz").rules->number, 0U);
}

TEST(Router, SaysWhatTheStarStandsFor) {
  const struct {
    const char* pattern;
    const char* path;
    const char* rest;
  } rows[] = {
      {"/docs/*", "/docs/a/b.html", "a/b.html"},
      {"/docs/*", "/docs/", ""},
      {"/*", "/a", "a"},
      {"/favicon.ico", "/favicon.ico", "favicon.ico"},
      {"/a/b", "/a/b", "b"},
      {"/api/*/export", "/api/x/export", "x/export"},
      {"/api/*/x/*", "/api/a/x/b/c", "a/x/b/c"},
      {"/**/b", "/a/b", "a/b"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    const auto pattern = PathPattern::Parse(row.pattern);
    ASSERT_TRUE(pattern && pattern->Matches(row.path));
    EXPECT_EQ(pattern->Rest(row.path), row.rest);
  }
  const Settings settings;
  EXPECT_EQ(Router(settings).Match("", http::Method::kGet, "/a/b").rest, "a/b");
}

}  // namespace
}  // namespace onebox::front
