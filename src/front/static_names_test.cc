#include "front/static_names.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using std::string_view_literals::operator""sv;

TEST(IsServableName, RefusesWhatIsNoPlainName) {
  const struct {
    std::string_view name;
    bool servable;
  } cases[] = {
      {"a.css", true},
      {"a/b/c.css", true},
      {"a..b", true},
      {"a/...", false},
      {"", false},
      {"/", false},
      {"/etc/passwd", false},
      {"a/", false},
      {"a//b", false},
      {".", false},
      {"..", false},
      {"../a", false},
      {"a/../b", false},
      {"a/..", false},
      {".git/config", false},
      {"a/.env", false},
      {"a\0b"sv, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(IsServableName(c.name), c.servable);
  }
}

TEST(CarriesContentHash, KnowsWhatAssetBuildersWrite) {
  for (const char* name : {
           "app.55e7cbb9ba48.css",           // Django
           "main.3f2a1b9c.js",               // webpack
           "2.1a2b3c4d.chunk.js",            // webpack, the hash not last
           "framework-2c79e2a64abdb08b.js",  // Next.js
           "app-0aa1bb2cc3dd4ee5ff60718293a4b5c6.js",
           "logo.0123456789ABCDEF.svg",
           "main.3f2a1b9c.js.map",
           "index-BfZ3k9aQ.js",  // Vite
           "index-D_x3-k9A.css",
           "index-BfZ3k9aQ.js.map",
           "chunk-J2KX5QZ7.js",  // esbuild
       }) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(CarriesContentHash(name));
  }
}

TEST(CarriesContentHash, TakesNoWordDateOrKeyForOne) {
  for (const char* name : {
           "",
           "app.css",
           "deadbeef.js",                   // the first part
           "507f1f77bcf86cd799439011.png",  // a key of a database
           "report-20240131.pdf",           // a date
           "scan.1700000000000.png",        // a time
           "the-defacade.css",              // letters only
           "logo.1a2b3c4.svg",              // seven
           "app.1a2B3c4D5e6F.js",           // two cases
           "jquery-3.7.1.min.js",
           "avatar-550e8400-e29b-41d4-a716-446655440000.png",
           "book-Chapter1.html",
           "about-Windows7.html",
           "js-MyPage01.js",
           "js-eBayPage.js",
           "polyfill-promises.js",
           "some-UPPERCAS.js",
           "app-javascript.js",
           "app-55e7cbb9ba48",  // no extension: the hash may be one
           "app.55e7cbb9",
           "x-a1b2c3d4e.",
           "BfZ3k9aQ.js",
       }) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(CarriesContentHash(name));
  }
}

}  // namespace
}  // namespace onebox::front
