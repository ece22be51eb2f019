#include "http/path.h"

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

// The one table of what a path means, for routing, static files and PATH_INFO alike.
TEST(NormalPath, IsDecodedOnceAndResolved) {
  const struct {
    std::string_view raw;
    std::string_view path;
    bool encoded_slash = false;
    bool backslash = false;
    bool resolved = false;
  } rows[] = {
      {"/", "/"},
      {"/a/b.c", "/a/b.c"},
      {"/a/", "/a/"},
      {"//", "//"},
      {"//a///b", "//a///b"},
      {"/a%20b", "/a b"},
      {"/%7Euser/%7euser", "/~user/~user"},
      {"/a+b", "/a+b"},
      {"/%C3%A9\xc3\xa9\xff", "/\xc3\xa9\xc3\xa9\xff"},
      {"/%25", "/%"},
      {"/%252e%252e/", "/%2e%2e/"},
      {"/%3Fa%23b", "/?a#b"},
      {"/a%0D%0Ab", "/a\r\nb"},
      {"/a%2Fb", "/a/b", true},
      {"/a%2fb", "/a/b", true},
      {"/a\\b", "/a\\b", false, true},
      {"/a%5Cb", "/a\\b", false, true},
      {"/..\\a", "/..\\a", false, true},
      {"/.", "/", false, false, true},
      {"/./", "/", false, false, true},
      {"/a/.", "/a/", false, false, true},
      {"/a/./b", "/a/b", false, false, true},
      {"/a/b/..", "/a/", false, false, true},
      {"/a/b/../", "/a/", false, false, true},
      {"/a/b/../c", "/a/c", false, false, true},
      {"/a/..", "/", false, false, true},
      {"/a/../b/./../c/d/.", "/c/d/", false, false, true},
      {"/a/b/c/./../../g", "/a/g", false, false, true},
      {"/a//../b", "/a/b", false, false, true},
      {"//..", "/", false, false, true},
      {"//../a", "/a", false, false, true},
      {"/a/%2e%2E/b", "/b", false, false, true},
      {"/a/%2e/b", "/a/b", false, false, true},
      {"/a/.%2e/b", "/b", false, false, true},
      {"/a%2F..%2Fb", "/b", true, false, true},
      {"/a/..%2fb", "/b", true, false, true},
      {"/a%2F%2E%2E%2Fb", "/b", true, false, true},
      {"/%5C..%5Ca", "/\\..\\a", false, true},
      {"/a/..;/b", "/a/..;/b"},
      {"/a;x=1/b", "/a;x=1/b"},
      {"/a/.../b", "/a/.../b"},
      {"/a/..%20/b", "/a/.. /b"},
      {"/a//./b", "/a//b", false, false, true},
      {"/%2F%2Fevil.example", "///evil.example", true},
      {"/...", "/..."},
      {"/.a", "/.a"},
      {"/..a", "/..a"},
      {"/a..", "/a.."},
      {"/a/...b/c", "/a/...b/c"},
      {"/a./b", "/a./b"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.raw);
    std::string storage = "what was there before";
    NormalPath normal;
    ASSERT_FALSE(NormalizePath(row.raw, storage, normal));
    EXPECT_EQ(normal.path, row.path);
    EXPECT_EQ(normal.encoded_slash, row.encoded_slash);
    EXPECT_EQ(normal.backslash, row.backslash);
    EXPECT_EQ(normal.resolved, row.resolved);
  }
}

TEST(NormalPath, IsRefusedWhereItCouldMeanTwoThings) {
  const std::string nul(1, '\0');
  const struct {
    std::string raw;
    RefusalKind kind;
  } rows[] = {
      {"/%", RefusalKind::kBadPercentEncoding},
      {"/%2", RefusalKind::kBadPercentEncoding},
      {"/%2/", RefusalKind::kBadPercentEncoding},
      {"/%g0", RefusalKind::kBadPercentEncoding},
      {"/%0g", RefusalKind::kBadPercentEncoding},
      {"/%%41", RefusalKind::kBadPercentEncoding},
      {"/%u002e", RefusalKind::kBadPercentEncoding},
      {"/% 41", RefusalKind::kBadPercentEncoding},
      {"/%00", RefusalKind::kNulInPath},
      {"/a%00.jpg", RefusalKind::kNulInPath},
      {"/a" + nul, RefusalKind::kNulInPath},
      {"/..", RefusalKind::kPathAboveRoot},
      {"/../", RefusalKind::kPathAboveRoot},
      {"/../a", RefusalKind::kPathAboveRoot},
      {"/a/../..", RefusalKind::kPathAboveRoot},
      {"/a/../../b", RefusalKind::kPathAboveRoot},
      {"/./..", RefusalKind::kPathAboveRoot},
      {"/%2e%2e/a", RefusalKind::kPathAboveRoot},
      {"/..%2fa", RefusalKind::kPathAboveRoot},
      {"/%2e%2e%2fetc%2fpasswd", RefusalKind::kPathAboveRoot},
      {"", RefusalKind::kBadTarget},
      {"a", RefusalKind::kBadTarget},
      {"%2Fa", RefusalKind::kBadTarget},
      {"*", RefusalKind::kBadTarget},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.raw);
    std::string storage;
    NormalPath normal;
    EXPECT_EQ(NormalizePath(row.raw, storage, normal), row.kind);
  }
}

TEST(NormalPath, StaysWhereItIsIfNothingChanges) {
  const std::string_view raw = "/a/b";
  std::string storage;
  NormalPath normal;
  ASSERT_FALSE(NormalizePath(raw, storage, normal));
  EXPECT_EQ(normal.path.data(), raw.data());
}

}  // namespace
}  // namespace onebox::http
