#include "http/media_type.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(MediaType, IsFoundByTheExtension) {
  const struct {
    std::string_view name;
    std::string_view type;
  } rows[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"a/b.c/app.min.JS", "text/javascript; charset=utf-8"},
      {"module.mjs", "text/javascript; charset=utf-8"},
      {"app.js.map", "application/json"},
      {"notes.txt", "text/plain; charset=utf-8"},
      {"logo.svg", "image/svg+xml"},
      {"font.woff2", "font/woff2"},
      {"code.wasm", "application/wasm"},
      {"photo.avif", "image/avif"},
      {"photo.webp", "image/webp"},
      {"site.webmanifest", "application/manifest+json"},
      {"archive.tar.gz", "application/gzip"},
      {"a.zst", "application/zstd"},
      {"a.7z", "application/x-7z-compressed"},
      {"README", "application/octet-stream"},
      {"folder.html/README", "application/octet-stream"},
      {"a.unknown", "application/octet-stream"},
      {"a.", "application/octet-stream"},
      {".html", "text/html; charset=utf-8"},
      {"", "application/octet-stream"},
      {"a.averyveryverylongextension", "application/octet-stream"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(MediaTypeOf(row.name), row.type);
  }
}

TEST(MediaType, IsCompressibleIfOneOfTheRangesHasIt) {
  const std::vector<std::string> ranges = {"text/*", "*+json", "application/JSON"};
  for (const char* type : {"text/html",
                           "text/html; charset=utf-8",
                           "TEXT/CSS",
                           "application/json",
                           "application/json;charset=utf-8",
                           "application/problem+json",
                           "application/geo+JSON",
                           " text/plain ; x"}) {
    SCOPED_TRACE(type);
    EXPECT_TRUE(IsCompressible(type, ranges));
  }
  for (const char* type : {"",
                           "image/png",
                           "image/svg+xml",
                           "application/octet-stream",
                           "text/event-stream",
                           "text",
                           "image/png; a=text/html",
                           "application/jsonx",
                           "multipart/byteranges; boundary=x"}) {
    SCOPED_TRACE(type);
    EXPECT_FALSE(IsCompressible(type, ranges));
  }
  EXPECT_FALSE(IsCompressible("text/html", {}));
}

TEST(MediaType, RangesAreATypeItsSubtypesOrASuffix) {
  for (const char* range : {"text/html", "text/*", "*+json", "application/vnd.apple.mpegurl"}) {
    SCOPED_TRACE(range);
    EXPECT_TRUE(IsMediaRange(range));
  }
  for (const char* range : {"",
                            "*",
                            "*/*",
                            "text",
                            "text/",
                            "/html",
                            "*json",
                            "*+",
                            "te*/html",
                            "text/ht*",
                            "text/html; charset=utf-8",
                            "text /html",
                            "a/b/c"}) {
    SCOPED_TRACE(range);
    EXPECT_FALSE(IsMediaRange(range));
  }
}

}  // namespace
}  // namespace onebox::http
