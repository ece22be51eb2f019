#include "front/static_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/ascii.h"
#include "front/transport.h"
#include "http/testing.h"
#include "os/fd.h"
#include "os/socket.h"

namespace onebox::front {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLongAgo = 1'600'000'000;  // Sun, 13 Sep 2020 12:26:40 GMT
constexpr const char* kLongAgoText = "Sun, 13 Sep 2020 12:26:40 GMT";
constexpr std::size_t kSmall = 4096;  // larger files are mapped

struct Received {
  int status = 0;
  std::string fields;
  std::string body;

  // Empty where there is none.
  std::string Value(std::string_view name) const {
    const std::string begin = std::string(name) + ": ";
    for (std::size_t at = 0; at < fields.size();) {
      const std::size_t end = fields.find("\r\n", at);
      if (fields.compare(at, begin.size(), begin) == 0) {
        return fields.substr(at + begin.size(), end - at - begin.size());
      }
      at = end + 2;
    }
    return {};
  }
};

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    std::string pattern = (fs::temp_directory_path() / "onebox-static-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(root_ / "in/deep");
    mount_.folder = root_ / "in";
    Restart();
  }
  ~StaticFilesTest() override { fs::remove_all(root_); }

  void Restart() { files_.emplace(compression_, limits_, clock_); }

  static void SetTime(const fs::path& path, std::int64_t at) {
    const timespec times[] = {{at, 0}, {at, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  void Write(const fs::path& name, std::string_view bytes, std::int64_t at = kLongAgo) {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    SetTime(root_ / name, at);
  }

  Received Send(std::string_view method, std::string_view raw, std::string_view fields = "") {
    const http::ParsedHead head(http::HeadWith(fields, method));
    EXPECT_FALSE(head.refused());
    std::string storage;
    http::NormalPath path;
    EXPECT_FALSE(http::NormalizePath(raw, storage, path)) << raw;
    if (!path.path.starts_with(prefix_)) return {404, "", ""};  // no route leads here
    const StaticAnswer answer =
        files_->Answer(*head, path, mount_, path.path.substr(prefix_.size()));
    Received received{answer.status, std::string(answer.fields), ""};
    for (const Piece& piece : answer.body.pieces())
      received.body.append(piece.bytes);
    EXPECT_EQ(received.body.size(), answer.body.size());
    return received;
  }
  Received Get(std::string_view raw, std::string_view fields = "") {
    return Send("GET", raw, fields);
  }

  fs::path root_;
  std::string prefix_ = "/static/";
  StaticMount mount_;
  CompressionSettings compression_;
  StaticLimits limits_{.memory_max = 1 << 20, .file_memory_max = kSmall, .mappings_max = 2};
  FakeClock clock_;
  std::optional<StaticFiles> files_;
};

std::string Text(std::size_t size) {
  std::string text;
  while (text.size() < size)
    text += "line " + std::to_string(text.size()) + " of a text\n";
  text.resize(size);
  return text;
}

TEST_F(StaticFilesTest, SendsAFileWithAllItsFields) {
  Write("in/a.css", "body{}");
  const Received first = Get("/static/a.css");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.fields,
            "ETag: \"16345785d8a00000-6\"\r\n"
            "Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT\r\n"
            "Cache-Control: public, max-age=300\r\n"
            "Accept-Ranges: bytes\r\n"
            "Content-Type: text/css; charset=utf-8\r\n"
            "Content-Length: 6\r\n");
  EXPECT_EQ(first.body, "body{}");
  const Received again = Get("/static/a.css");
  EXPECT_EQ(again.fields, first.fields);
  EXPECT_EQ(again.body, first.body);
}

TEST_F(StaticFilesTest, HeadIsGetWithoutTheBody) {
  Write("in/small.css", Text(2000));
  Write("in/large.bin", Text(2 * kSmall));
  for (const char* path : {"/static/small.css", "/static/large.bin"}) {
    for (const char* fields : {"", "Accept-Encoding: gzip\r\n"}) {
      SCOPED_TRACE(std::string(path) + fields);
      const Received got = Get(path, fields);
      const Received head = Send("HEAD", path, fields);
      EXPECT_EQ(head.status, 200);
      EXPECT_EQ(head.fields, got.fields);
      EXPECT_EQ(head.body, "");
      EXPECT_EQ(got.Value("Content-Length"), std::to_string(got.body.size()));
    }
  }
}

TEST_F(StaticFilesTest, OtherMethodsAreNotAllowed) {
  Write("in/a.css", "body{}");
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "WHATEVER"}) {
    SCOPED_TRACE(method);
    const Received received = Send(method, "/static/a.css");
    EXPECT_EQ(received.status, 405);
    EXPECT_EQ(received.fields, "Allow: GET, HEAD\r\n");
  }
}

TEST_F(StaticFilesTest, OpensNothingButPlainFilesOfTheFolder) {
  Write("secret", "secret");
  Write("in/file", "inside");
  Write("in/deep/file", "deeper");
  Write("in/.env", "hidden");
  Write("in/back\\slash", "odd");
  Write("in/closed", "closed");
  fs::create_directories(root_ / "in/.git");
  fs::create_directories(root_ / "inner");
  Write("in/.git/config", "hidden");
  Write("inner/file", "a folder whose name begins alike");
  fs::create_symlink("deep/file", root_ / "in/near");
  fs::create_symlink("../secret", root_ / "in/far");
  fs::create_symlink("..", root_ / "in/up");
  fs::create_symlink(root_ / "secret", root_ / "in/absolute");
  fs::create_symlink("loop", root_ / "in/loop");
  ASSERT_EQ(::mkfifo((root_ / "in/pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((root_ / "in/piped.css").c_str(), 0600), 0);
  const struct {
    const char* path;
    int inside, anywhere;  // by follow_links
  } cases[] = {
      {"/static/file", 200, 200},
      {"/static/deep/file", 200, 200},
      {"/static/%66ile", 200, 200},
      {"/static/deep/../file", 200, 200},
      {"/static/near", 200, 200},
      {"/static/far", 404, 200},
      {"/static/up/secret", 404, 200},
      {"/static/absolute", 404, 200},
      {"/static/", 404, 404},
      {"/static/deep", 404, 404},
      {"/static/deep/", 404, 404},
      {"/static/none", 404, 404},
      {"/static/file/below", 404, 404},
      {"/static/file/", 404, 404},
      {"/static//file", 404, 404},
      {"/static//etc/passwd", 404, 404},
      {"/static/deep//file", 404, 404},
      {"/static/deep%2Ffile", 404, 404},
      {"/static/%2e%2e/secret", 404, 404},  // the normal path is "/secret"
      {"/static/..%2Fsecret", 404, 404},
      {"/static/%252e%252e/secret", 404, 404},
      {"/static/..%5Csecret", 404, 404},
      {"/static/back%5Cslash", 404, 404},
      {"/static/.env", 404, 404},
      {"/static/%2Eenv", 404, 404},
      {"/static/.git/config", 404, 404},
      {"/static/...", 404, 404},
      {"/static/pipe", 404, 404},
      {"/static/piped.css", 404, 404},
      {"/static/loop", 404, 404},
      {"/inner/file", 404, 404},
      {"/staticfile", 404, 404},
  };
  for (const bool follow_links : {false, true}) {
    mount_.follow_links = follow_links;
    Restart();
    for (const auto& c : cases) {
      SCOPED_TRACE(std::string(c.path) + (follow_links ? " anywhere" : " inside"));
      const Received received = Get(c.path);
      EXPECT_EQ(received.status, follow_links ? c.anywhere : c.inside);
      if (received.status == 404) {
        EXPECT_EQ(received.fields + received.body, "");
      }
    }
    EXPECT_EQ(Get("/static/" + std::string(300, 'x')).status, 404);
    EXPECT_EQ(Get("/static/" + std::string(5000, 'x')).status, 404);
  }
}

// While it lives, permissions bind this thread also where it is root's.
class BoundByPermissions {
 public:
  BoundByPermissions() {
    EXPECT_EQ(::syscall(SYS_capget, &header_, before_), 0);
    __user_cap_data_struct less[2] = {before_[0], before_[1]};
    less[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    EXPECT_EQ(::syscall(SYS_capset, &header_, less), 0);
  }
  ~BoundByPermissions() { EXPECT_EQ(::syscall(SYS_capset, &header_, before_), 0); }
  BoundByPermissions(const BoundByPermissions&) = delete;
  BoundByPermissions& operator=(const BoundByPermissions&) = delete;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2]{};
};

TEST_F(StaticFilesTest, AnUnreadableFileIsNotThere) {
  Write("in/open", "open");
  Write("in/closed", "closed");
  fs::permissions(root_ / "in/closed", fs::perms::none);
  const BoundByPermissions bound;
  EXPECT_EQ(Get("/static/open").status, 200);
  EXPECT_EQ(Get("/static/closed").status, 404);
}

TEST_F(StaticFilesTest, FilesOfOneNameInTwoFoldersAreTwo) {
  fs::create_directories(root_ / "media");
  Write("in/a", "static");
  Write("media/a", "media");
  EXPECT_EQ(Get("/static/a").body, "static");
  const StaticMount first = mount_;
  mount_.number = 1;
  mount_.folder = (root_ / "media/").string();
  const StaticMount second = mount_;
  for (int i = 0; i < 2; ++i) {
    mount_ = second;
    EXPECT_EQ(Get("/static/a").body, "media");
    mount_ = first;
    EXPECT_EQ(Get("/static/a").body, "static");
  }
}

TEST_F(StaticFilesTest, TriesNamesInTheirOrder) {
  Write("in/index.html", "app");
  Write("in/page.html", "page");
  Write("in/deep/a.js", "script");
  Write("in/.env", "secret");
  mount_.try_files = {"$path", "$path.html", "/index.html"};
  const struct {
    const char* path;
    const char* body;
  } rows[] = {
      {"/static/deep/a.js", "script"},
      {"/static/page", "page"},
      {"/static/page.html", "page"},
      {"/static/players/42", "app"},
      {"/static/", "app"},
      {"/static/deep", "app"},
      {"/static/.env", "app"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    const Received received = Get(row.path);
    EXPECT_EQ(received.status, 200);
    EXPECT_EQ(received.body, row.body);
    EXPECT_EQ(Get(row.path).body, row.body) << "from the cache too";
  }
  EXPECT_EQ(Get("/static/a%2Fb").status, 404);
  mount_.try_files = {"/deep$path.js"};
  EXPECT_EQ(Get("/static/a").body, "script");
  EXPECT_EQ(Get("/static/b").status, 404);
}

TEST_F(StaticFilesTest, AFolderIsItsIndexWhereItHasOne) {
  Write("in/index.html", "root");
  Write("in/deep/index.htm", "deep");
  EXPECT_EQ(Get("/static/").status, 404) << "without index";
  mount_.index = {"index.html", "index.htm"};
  EXPECT_EQ(Get("/static/").body, "root");
  EXPECT_EQ(Get("/static/").Value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(Get("/static/deep/").body, "deep");
  EXPECT_EQ(Get("/static/none/").status, 404);
  const Received folder = Get("/static/deep");
  EXPECT_EQ(folder.status, 308);
  EXPECT_EQ(folder.Value("Location"), "/static/deep/");
  mount_.try_files = {"$path"};
  EXPECT_EQ(Get("/static/deep/").body, "deep");
  EXPECT_EQ(Get("/static/").body, "root");
}

TEST_F(StaticFilesTest, CacheControlIsByRule) {
  Write("in/app.css", "a");
  Write("in/app.55e7cbb9ba48.css", "a");
  Write("in/deep/index-BfZ3k9aQ.js", "a");
  const struct {
    const char* path;
    const char* by_default;
    const char* changed;
  } cases[] = {
      {"app.css", "public, max-age=300", "public, max-age=2592000"},
      {"app.55e7cbb9ba48.css",
       "public, max-age=31536000, immutable",
       "public, max-age=60, immutable"},
      {"deep/index-BfZ3k9aQ.js",
       "public, max-age=31536000, immutable",
       "public, max-age=60, immutable"},
  };
  const StaticMount standard = mount_;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    const std::string path = std::string("/static/") + c.path;
    mount_ = standard;
    Restart();
    EXPECT_EQ(Get(path).Value("Cache-Control"), c.by_default);
    mount_.max_age = std::chrono::hours(24 * 30);
    mount_.immutable_max_age = seconds(60);
    Restart();
    EXPECT_EQ(Get(path).Value("Cache-Control"), c.changed);
    mount_.immutable = false;
    Restart();
    EXPECT_EQ(Get(path).Value("Cache-Control"), "public, max-age=2592000");
  }
}

TEST_F(StaticFilesTest, ConditionsAreAnsweredInTheirOrder) {
  Write("in/a.css", "body{}");
  const std::string etag = Get("/static/a.css").Value("ETag");
  const std::string same = "If-None-Match: " + etag + "\r\n";
  const std::string weak = "If-None-Match: W/" + etag + "\r\n";
  const std::string other = "If-None-Match: \"other\"\r\n";
  const std::string not_since = std::string("If-Modified-Since: ") + kLongAgoText + "\r\n";
  const std::string since = "If-Modified-Since: Sun, 13 Sep 2020 12:26:39 GMT\r\n";
  const struct {
    std::string fields;
    int status;
  } cases[] = {
      {same, 304},
      {weak, 304},
      {"If-None-Match: \"x\", " + etag + "\r\n", 304},
      {"If-None-Match: *\r\n", 304},
      {other, 200},
      {not_since, 304},
      {since, 200},
      {"If-Modified-Since: yesterday\r\n", 200},
      {other + not_since, 200},  // the tag counts, the date does not
      {same + since, 304},
      {"If-Match: " + etag + "\r\n", 200},
      {"If-Match: *\r\n", 200},
      {"If-Match: \"other\"\r\n", 412},
      {"If-Match: W/" + etag + "\r\n", 412},
      {"If-Match: \"other\"\r\n" + same, 412},
      {"If-Match: " + etag + "\r\n" + same, 304},
      {"If-Unmodified-Since: Sun, 13 Sep 2020 12:26:39 GMT\r\n", 412},
      {std::string("If-Unmodified-Since: ") + kLongAgoText + "\r\n", 200},
      {same + "Range: bytes=0-1\r\n", 304},
      {"If-Match: \"other\"\r\nRange: bytes=0-1\r\n", 412},
  };
  for (const auto& c : cases) {
    for (const char* method : {"GET", "HEAD"}) {
      SCOPED_TRACE(std::string(method) + " " + c.fields);
      const Received received = Send(method, "/static/a.css", c.fields);
      EXPECT_EQ(received.status, c.status);
      if (c.status == 200) continue;
      EXPECT_EQ(received.body, "");
      EXPECT_EQ(received.fields,
                c.status == 412 ? ""
                                : "ETag: " + etag + "\r\nLast-Modified: " + kLongAgoText +
                                      "\r\nCache-Control: public, max-age=300\r\n");
    }
  }
}

TEST_F(StaticFilesTest, SendsOneRange) {
  const std::string small = Text(1000);
  const std::string large = Text(3 * kSmall);
  Write("in/small.bin", small);
  Write("in/large.bin", large);
  const struct {
    const char* range;
    std::size_t first, size;  // of 1000 bytes
    const char* content_range;
  } cases[] = {
      {"bytes=0-0", 0, 1, "bytes 0-0/1000"},
      {"bytes=10-19", 10, 10, "bytes 10-19/1000"},
      {"bytes=990-", 990, 10, "bytes 990-999/1000"},
      {"bytes=-7", 993, 7, "bytes 993-999/1000"},
      {"bytes=-5000", 0, 1000, "bytes 0-999/1000"},
      {"bytes=999-2000", 999, 1, "bytes 999-999/1000"},
      {"bytes=0-9,5-19", 0, 20, "bytes 0-19/1000"},  // merged
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.range);
    const Received part = Get("/static/small.bin", std::string("Range: ") + c.range + "\r\n");
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.body, small.substr(c.first, c.size));
    EXPECT_EQ(part.Value("Content-Range"), c.content_range);
    EXPECT_EQ(part.Value("Content-Length"), std::to_string(c.size));
    EXPECT_EQ(part.Value("Content-Type"), "application/octet-stream");
    EXPECT_EQ(part.Value("ETag"), Get("/static/small.bin").Value("ETag"));
  }
  const Received mapped = Get("/static/large.bin", "Range: bytes=5000-5099\r\n");
  EXPECT_EQ(mapped.status, 206);
  EXPECT_EQ(mapped.body, large.substr(5000, 100));
}

TEST_F(StaticFilesTest, SendsManyRangesAsParts) {
  const std::string bytes = Text(1000);
  Write("in/a.css", bytes);
  const Received received = Get("/static/a.css", "Range: bytes=0-9,500-503,-1\r\n");
  EXPECT_EQ(received.status, 206);
  EXPECT_EQ(received.Value("Content-Range"), "");
  const std::string type = received.Value("Content-Type");
  const std::string begin = "multipart/byteranges; boundary=";
  ASSERT_EQ(type.substr(0, begin.size()), begin);
  const std::string boundary = type.substr(begin.size());
  const std::string part =
      "\r\n--" + boundary + "\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes ";
  EXPECT_EQ(received.body,
            part + "0-9/1000\r\n\r\n" + bytes.substr(0, 10) +           //
                part + "500-503/1000\r\n\r\n" + bytes.substr(500, 4) +  //
                part + "999-999/1000\r\n\r\n" + bytes.substr(999) +     //
                "\r\n--" + boundary + "--\r\n");
  EXPECT_EQ(received.Value("Content-Length"), std::to_string(received.body.size()));
  EXPECT_NE(Get("/static/a.css", "Range: bytes=0-9,-1\r\n").Value("Content-Type"), type);
}

TEST_F(StaticFilesTest, ARangeBehindTheEndIsRefused) {
  Write("in/a.bin", "0123456789");
  Write("in/empty.bin", "");
  for (const char* path : {"a.bin", "empty.bin"}) {
    SCOPED_TRACE(path);
    const Received received = Get(std::string("/static/") + path, "Range: bytes=10-\r\n");
    EXPECT_EQ(received.status, 416);
    EXPECT_EQ(received.fields,
              std::string("Content-Range: bytes */") + (path[0] == 'a' ? "10" : "0") + "\r\n");
    EXPECT_EQ(received.body, "");
  }
}

TEST_F(StaticFilesTest, ARangeThatDoesNotCountGivesTheWhole) {
  Write("in/a.bin", "0123456789");
  const std::string etag = Get("/static/a.bin").Value("ETag");
  const std::string range = "Range: bytes=2-3\r\n";
  const struct {
    std::string fields;
    int status;
  } cases[] = {
      {range + "If-Range: " + etag + "\r\n", 206},
      {range + "If-Range: W/" + etag + "\r\n", 200},
      {range + "If-Range: \"other\"\r\n", 200},
      {range + "If-Range: " + kLongAgoText + "\r\n", 206},
      {range + "If-Range: Sun, 13 Sep 2020 12:26:41 GMT\r\n", 200},
      {"Range: lines=2-3\r\n", 200},
      {"Range: bytes=3-2\r\n", 200},
      {"Range: bytes=x\r\n", 200},
      {range + range, 200},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.fields);
    const Received received = Get("/static/a.bin", c.fields);
    EXPECT_EQ(received.status, c.status);
    EXPECT_EQ(received.body, c.status == 206 ? "23" : "0123456789");
    EXPECT_EQ(Send("HEAD", "/static/a.bin", c.fields).status, 200) << "ranges are for GET";
  }
}

TEST_F(StaticFilesTest, SendsThePrecompressedNeighbourThatIsAccepted) {
  Write("in/a.js", "plain");
  Write("in/a.js.br", "as brotli", kLongAgo + 5);
  Write("in/a.js.zst", "as zstd");
  Write("in/a.js.gz", "as gzip");
  const struct {
    const char* accept;
    const char* coding;
    const char* body;
  } cases[] = {
      {"gzip, deflate, br, zstd", "br", "as brotli"},
      {"gzip, zstd", "zstd", "as zstd"},
      {"gzip", "gzip", "as gzip"},
      {"br;q=0.5, gzip", "gzip", "as gzip"},
      {"br;q=0, *", "zstd", "as zstd"},
      {"identity", "", "plain"},
      {"deflate", "", "plain"},
      {"identity;q=0", "", "plain"},
      {"", "", "plain"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.accept);
    const Received received =
        Get("/static/a.js", std::string("Accept-Encoding: ") + c.accept + "\r\n");
    EXPECT_EQ(received.status, 200);
    EXPECT_EQ(received.body, c.body);
    EXPECT_EQ(received.Value("Content-Encoding"), c.coding);
    EXPECT_EQ(received.Value("Content-Type"), "text/javascript; charset=utf-8");
    EXPECT_EQ(received.Value("Content-Length"), std::to_string(received.body.size()));
    EXPECT_EQ(received.Value("Vary"), "Accept-Encoding");
    EXPECT_EQ(received.Value("Last-Modified"), kLongAgoText);
  }
  EXPECT_EQ(Get("/static/a.js").body, "plain");
}

TEST_F(StaticFilesTest, EachCodingHasItsOwnTagAndRanges) {
  Write("in/a.js", "plain");
  Write("in/a.js.gz", "as gzip");
  const std::string gzip = "Accept-Encoding: gzip\r\n";
  const std::string plain_tag = Get("/static/a.js").Value("ETag");
  const std::string gzip_tag = Get("/static/a.js", gzip).Value("ETag");
  EXPECT_NE(plain_tag, gzip_tag);
  EXPECT_EQ(Get("/static/a.js", gzip + "If-None-Match: " + gzip_tag + "\r\n").status, 304);
  EXPECT_EQ(Get("/static/a.js", gzip + "If-None-Match: " + gzip_tag + "\r\n").Value("Vary"),
            "Accept-Encoding");
  EXPECT_EQ(Get("/static/a.js", gzip + "If-None-Match: " + plain_tag + "\r\n").status, 200);
  const Received part = Get("/static/a.js", gzip + "Range: bytes=3-\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "gzip");
  EXPECT_EQ(part.Value("Content-Encoding"), "gzip");
  const std::string if_range = "Range: bytes=3-\r\nIf-Range: " + plain_tag + "\r\n";
  EXPECT_EQ(Get("/static/a.js", gzip + if_range).status, 200) << "the parts would not fit";
}

TEST_F(StaticFilesTest, ANeighbourThatIsOlderOrNoFileIsNotSent) {
  Write("in/old.bin", "plain");
  Write("in/old.bin.gz", "old", kLongAgo - 1);
  Write("in/folder.bin", "plain");
  fs::create_directories(root_ / "in/folder.bin.gz");
  Write("in/far.bin", "plain");
  Write("secret", "secret");
  fs::create_symlink("../secret", root_ / "in/far.bin.gz");
  for (const char* path : {"/static/old.bin", "/static/folder.bin", "/static/far.bin"}) {
    SCOPED_TRACE(path);
    const Received received = Get(path, "Accept-Encoding: gzip\r\n");
    EXPECT_EQ(received.status, 200);
    EXPECT_EQ(received.body, "plain");
    EXPECT_EQ(received.Value("Content-Encoding"), "");
  }
}

TEST_F(StaticFilesTest, CompressesSmallTextsOnce) {
  const std::string text = Text(3000);
  Write("in/a.css", text);
  for (const char* coding : {"gzip", "br", "zstd"}) {
    SCOPED_TRACE(coding);
    const std::string accept = std::string("Accept-Encoding: ") + coding + "\r\n";
    const Received first = Get("/static/a.css", accept);
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.Value("Content-Encoding"), coding);
    EXPECT_EQ(first.Value("Vary"), "Accept-Encoding");
    EXPECT_LT(first.body.size(), text.size() / 2);
    EXPECT_EQ(first.Value("Content-Length"), std::to_string(first.body.size()));
    EXPECT_NE(first.Value("ETag"), Get("/static/a.css").Value("ETag"));
    const std::uint64_t charged = files_->cache().charge().bytes;
    EXPECT_EQ(Get("/static/a.css", accept).body, first.body);
    EXPECT_EQ(files_->cache().charge().bytes, charged);
  }
  EXPECT_EQ(Get("/static/a.css").body, text);
  EXPECT_EQ(Get("/static/a.css").Value("Vary"), "Accept-Encoding");
}

TEST_F(StaticFilesTest, CompressesNothingThatIsNotWorthIt) {
  std::string noise;
  std::uint32_t state = 1;
  while (noise.size() < 2000) {
    state = state * 1664525 + 1013904223;
    noise += static_cast<char>(state >> 24);
  }
  Write("in/short.css", Text(1023));
  Write("in/just.css", Text(1024));
  Write("in/photo.png", Text(3000));
  Write("in/large.css", Text(kSmall + 1));
  Write("in/noise.css", noise);
  const struct {
    const char* path;
    const char* coding;
    const char* vary;
  } cases[] = {
      {"short.css", "", ""},
      {"just.css", "gzip", "Accept-Encoding"},
      {"photo.png", "", ""},
      {"large.css", "", ""},
      {"noise.css", "", "Accept-Encoding"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.path);
    const std::string path = std::string("/static/") + c.path;
    const Received received = Get(path, "Accept-Encoding: gzip\r\n");
    EXPECT_EQ(received.Value("Content-Encoding"), c.coding);
    EXPECT_EQ(received.Value("Vary"), c.vary);
  }
  compression_.enabled = false;
  Restart();
  EXPECT_EQ(Get("/static/just.css", "Accept-Encoding: gzip\r\n").Value("Content-Encoding"), "");
  Write("in/just.css.gz", "as gzip");
  Restart();
  EXPECT_EQ(Get("/static/just.css", "Accept-Encoding: gzip\r\n").body, "as gzip")
      << "neighbours cost nothing";
}

TEST_F(StaticFilesTest, NoticesAChangeAfterASecond) {
  Write("in/a.css", "before");
  const std::string etag = Get("/static/a.css").Value("ETag");
  Write("in/a.css", "behind", kLongAgo + 1);  // as many bytes
  clock_.Advance(std::chrono::milliseconds(999));
  EXPECT_EQ(Get("/static/a.css").body, "before");
  clock_.Advance(std::chrono::milliseconds(1));
  const Received changed = Get("/static/a.css", "If-None-Match: " + etag + "\r\n");
  EXPECT_EQ(changed.status, 200);
  EXPECT_EQ(changed.body, "behind");
  EXPECT_NE(changed.Value("ETag"), etag);
}

TEST_F(StaticFilesTest, NoticesWhatElseHappensToAFileAfterASecond) {
  const std::string path = "/static/a.bin";
  const auto folder = root_ / "in";
  const struct {
    const char* why;
    std::function<void()> change;
    int status;
    const char* body;
  } cases[] = {
      {"nothing", [] {}, 200, "first"},
      {"deleted", [&] { fs::remove(folder / "a.bin"); }, 404, ""},
      {"replaced by another with the same time",
       [&] {
         Write("in/new", "other");
         fs::rename(folder / "new", folder / "a.bin");
       },
       200,
       "other"},
      {"now a folder",
       [&] {
         fs::remove(folder / "a.bin");
         fs::create_directories(folder / "a.bin");
       },
       404,
       ""},
      {"now a link that leads out",
       [&] {
         Write("secret", "secret");
         fs::remove(folder / "a.bin");
         fs::create_symlink("../secret", folder / "a.bin");
       },
       404,
       ""},
      {"a neighbour came", [&] { Write("in/a.bin.gz", "as gzip"); }, 200, "as gzip"},
      {"the folder was swapped",
       [&] {
         fs::create_directories(root_ / "next");
         Write("next/a.bin", "next");
         fs::rename(folder, root_ / "previous");
         fs::rename(root_ / "next", folder);
       },
       200,
       "next"},
      {"the folder is gone", [&] { fs::remove_all(folder); }, 404, ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    for (const char* name : {"in", "next", "previous"})
      fs::remove_all(root_ / name);
    fs::create_directories(folder);
    Write("in/a.bin", "first");
    Restart();
    const std::string accept = "Accept-Encoding: gzip\r\n";
    EXPECT_EQ(Get(path, accept).body, "first");
    c.change();
    EXPECT_EQ(Get(path, accept).body, "first");
    clock_.Advance(StaticFiles::kCheckEvery);
    EXPECT_EQ(Get(path, accept).status, c.status);
    EXPECT_EQ(Get(path, accept).body, c.body);
  }
}

TEST_F(StaticFilesTest, AFileThatWasMissingIsFoundAtOnce) {
  EXPECT_EQ(Get("/static/a.css").status, 404);
  EXPECT_EQ(files_->cache().entries(), 0U);
  Write("in/a.css", "here");
  EXPECT_EQ(Get("/static/a.css").body, "here");
}

TEST_F(StaticFilesTest, LargeFilesAreMappedAndFewMappingsKept) {
  const std::string bytes = Text(kSmall + 1);
  for (const char* name : {"1", "2", "3"}) {
    Write(fs::path("in") / name, bytes);
    EXPECT_EQ(Get(std::string("/static/") + name).body, bytes);
  }
  EXPECT_EQ(files_->cache().charge().mappings, 2U);
  EXPECT_LT(files_->cache().charge().bytes, bytes.size() * 2);
  Write("in/exact", Text(kSmall));
  EXPECT_EQ(Get("/static/exact").body.size(), kSmall);
  EXPECT_EQ(files_->cache().charge().mappings, 2U);
}

TEST_F(StaticFilesTest, AnAnswerOutlivesItsEntryAndItsFile) {
  const std::string bytes = Text(kSmall + 1);
  Write("in/a", bytes);
  const http::ParsedHead head(http::HeadWith(""));
  const StaticAnswer answer = files_->Answer(*head, {.path = "/static/a"}, mount_, "a");
  fs::remove(root_ / "in/a");
  files_.reset();
  EXPECT_EQ(answer.body.pieces()[0].bytes, bytes);
  EXPECT_NE(answer.fields.find("Content-Length: 4097\r\n"), std::string_view::npos);
}

TEST_F(StaticFilesTest, ATruncatedFileFailsTheWriteAndNotTheProcess) {
  Write("in/a", Text(16 * kSmall));
  const http::ParsedHead head(http::HeadWith(""));
  const StaticAnswer answer = files_->Answer(*head, {.path = "/static/a"}, mount_, "a");
  fs::resize_file(root_ / "in/a", 0);
  auto pair = os::NewSocketPair(SOCK_STREAM).value();
  Transport transport(std::move(pair.ours));
  EXPECT_EQ(transport.Send({}, answer.body.pieces()).state, os::Moved::State::kGone);
  clock_.Advance(StaticFiles::kCheckEvery);
  EXPECT_EQ(Get("/static/a").Value("Content-Length"), "0");
}

TEST_F(StaticFilesTest, TheCacheKeepsToItsBudget) {
  limits_.memory_max = 20'000;
  Restart();
  for (int i = 0; i < 50; ++i) {
    const std::string name = std::to_string(i) + ".css";
    const std::string bytes = Text(2000) + name;
    Write(fs::path("in") / name, bytes);
    EXPECT_EQ(Get("/static/" + name).body, bytes);
    EXPECT_EQ(Get("/static/" + name, "Accept-Encoding: br\r\n").Value("Content-Encoding"), "br");
    EXPECT_LE(files_->cache().charge().bytes, limits_.memory_max);
  }
  EXPECT_GE(files_->cache().entries(), 4U);
  limits_.memory_max = 0;
  Restart();
  EXPECT_EQ(Get("/static/7.css").body, Text(2000) + "7.css")
      << "without a cache it is read each time";
}

}  // namespace
}  // namespace onebox::front
