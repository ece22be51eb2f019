#include "redis/reply.h"

#include <cerrno>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "redis/properties.h"

namespace onebox::redis {
namespace {

using ::testing::HasSubstr;
using Kind = Reply::Kind;

Reply Bulk(std::string text) {
  return {.kind = Kind::kBulk, .integer = 0, .text = std::move(text), .elements = {}};
}
Reply Integer(std::int64_t value) {
  return {.kind = Kind::kInteger, .integer = value, .text = {}, .elements = {}};
}
Reply Array(std::vector<Reply> elements) {
  return {.kind = Kind::kArray, .integer = 0, .text = {}, .elements = std::move(elements)};
}

TEST(Reply, IsReadHoweverItsBytesAreCut) {
  const std::string binary("a\r\n\0$1", 6);
  struct Case {
    std::string bytes;
    Reply reply;
  };
  const Case cases[] = {
      {"+OK\r\n", {.kind = Kind::kStatus, .integer = 0, .text = "OK", .elements = {}}},
      {"-OOM no\r\n", {.kind = Kind::kError, .integer = 0, .text = "OOM no", .elements = {}}},
      {":-9223372036854775808\r\n", Integer(INT64_MIN)},
      {":9223372036854775807\r\n", Integer(INT64_MAX)},
      {"$-1\r\n", {}},
      {"*-1\r\n", {}},
      {"$0\r\n\r\n", Bulk("")},
      {"$6\r\n" + binary + "\r\n", Bulk(binary)},
      {"*0\r\n", Array({})},
      {"*4\r\n*2\r\n:1\r\n$-1\r\n*0\r\n*-1\r\n$1\r\nx\r\n",
       Array({Array({Integer(1), {}}), Array({}), {}, Bulk("x")})},
  };
  for (const Case& c : cases) {
    for (std::size_t step = 1; step <= c.bytes.size() + 3; ++step) {
      SCOPED_TRACE(c.bytes + " in pieces of " + std::to_string(step));
      const auto read = properties::ReadAll(c.bytes + ":7\r\n" + c.bytes, step, {});
      EXPECT_EQ(read.error, std::nullopt);
      EXPECT_TRUE(read.replies == (std::vector<Reply>{c.reply, Integer(7), c.reply}));
    }
  }
}

TEST(Reply, IsNothingBeforeItsLastByte) {
  const std::string bytes = "*2\r\n$3\r\nabc\r\n:1\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ReplyReader reader({});
    reader.Feed({bytes.data(), size});
    const auto next = reader.Next();
    ASSERT_TRUE(next.ok());
    EXPECT_FALSE(next.value().has_value());
    EXPECT_EQ(reader.empty(), size == 0);
    reader.Feed({bytes.data() + size, bytes.size() - size});
    EXPECT_TRUE(reader.Next().value().has_value());
    EXPECT_TRUE(reader.empty());
  }
}

TEST(Reply, IsRefusedWhereItIsNoneOrTooLarge) {
  const ReplyLimits limits{.bytes_max = 64 << 10, .elements_max = 100};
  std::string nested;
  for (int i = 0; i < kReplyDepthMax + 1; ++i)
    nested += "*1\r\n";
  std::string wide = "*60\r\n";
  for (int i = 0; i < 60; ++i)
    wide += "*1\r\n:1\r\n";
  struct Case {
    std::string bytes;
    const char* why;
  };
  const Case cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error"},
      {"%1\r\n+a\r\n:1\r\n", "Protocol error"},  // RESP3
      {":12a\r\n", "Bad integer"},
      {":9223372036854775808\r\n", "Bad integer"},
      {"$-2\r\n", "range"},
      {"$99999999999999999999\r\n", "Bad bulk"},
      {"*-2\r\n", "range"},
      {"*99999999999\r\n", "range"},
      {"*101\r\n", "more than 100 elements"},
      {"*2147483647\r\n", "more than 100 elements"},
      {wide, "more than 100 elements"},
      {nested, "depth"},
      {"$9223372036854775807\r\n" + std::string(128 << 10, 'x'), "longer than 65536 bytes"},
      {"+" + std::string(128 << 10, 'x'), "longer than 65536 bytes"},
  };
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{4096}, std::size_t{1000}}) {
      SCOPED_TRACE(c.bytes.substr(0, 60));
      const auto read = properties::ReadAll(c.bytes, step, limits);
      ASSERT_TRUE(read.error.has_value());
      EXPECT_THAT(*read.error, HasSubstr(c.why));
      EXPECT_TRUE(read.replies.empty());
    }
  }
}

// The limits are of one answer, not of all.
TEST(Reply, MayFollowManyOthers) {
  const ReplyLimits limits{.bytes_max = 1000, .elements_max = 10};
  std::string bytes;
  for (int i = 0; i < 500; ++i)
    bytes += "*9\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n";
  const auto read = properties::ReadAll(bytes, 300, limits);
  EXPECT_EQ(read.error, std::nullopt);
  EXPECT_EQ(read.replies.size(), 500U);
}

}  // namespace
}  // namespace onebox::redis
