#include "redis/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::redis {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RedisAddress, IsReadFromItsUrl) {
  struct Case {
    const char* url;
    Address address;
    const char* text;
  };
  const Case cases[] = {
      {"redis://cache", {.host = "cache", .port = 6379}, "redis://cache:6379"},
      {"REDIS://cache/", {.host = "cache", .port = 6379}, "redis://cache:6379"},
      {"redis://10.0.0.1:7000/3",
       {.host = "10.0.0.1", .port = 7000, .database = 3},
       "redis://10.0.0.1:7000/3"},
      {"redis://[::1]", {.host = "::1", .port = 6379}, "redis://[::1]:6379"},
      {"redis://[::1]:7000/0", {.host = "::1", .port = 7000}, "redis://[::1]:7000"},
      {"redis://:secret@cache",
       {.host = "cache", .port = 6379, .password = "secret"},
       "redis://cache:6379"},
      {"redis://app:p%40ss%3A/w@rd@cache:1/2",
       {.host = "cache", .port = 1, .user = "app", .password = "p@ss:/w@rd", .database = 2},
       "redis://cache:1/2"},
      {"unix:///run/redis.sock", {.path = "/run/redis.sock"}, "unix:///run/redis.sock"},
      {"redis+unix:///run/a%20b?db=7", {.path = "/run/a b", .database = 7}, "unix:///run/a b?db=7"},
      {"unix://app:secret@/run/redis.sock",
       {.path = "/run/redis.sock", .user = "app", .password = "secret"},
       "unix:///run/redis.sock"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto address = Address::Parse(c.url);
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_TRUE(address.value() == c.address);
    EXPECT_EQ(address.value().text(), c.text);
  }
}

TEST(RedisAddress, SaysWhatIsWrongAndNeverThePassword) {
  struct Case {
    const char* url;
    const char* why;
  };
  const std::string long_path = "unix:///" + std::string(107, 'x');
  const Case cases[] = {
      {"cache:6379", "there is no ://"},
      {"http://cache", "the scheme is none of"},
      {"rediss://:secret@cache", "over TLS, which is not spoken"},
      {"redis://", "there is no host"},
      {"redis://:secret@", "there is no host"},
      {"redis://secret@cache", "a user without a password"},
      {"redis://app:@cache", "the password is empty"},
      {"redis://:secret%4@cache", "not followed by hex"},
      {"redis://:secret%zz@cache", "not followed by hex"},
      {"redis://:secret%00@cache", "not followed by hex"},
      {"redis://cache:", "the port is a number"},
      {"redis://cache:0", "the port is a number"},
      {"redis://cache:65536", "the port is a number"},
      {"redis://[::1", "a [ without a ]"},
      {"redis://[::1]7", "the port is a number"},
      {"redis://::1", "stands in brackets"},
      {"redis://ca che", "the host is a name"},
      {"redis://cache/one", "the database is a number"},
      {"redis://cache/-1", "the database is a number"},
      {"redis://cache/70000", "the database is a number"},
      {"redis://cache/1/2", "the database is a number"},
      {"redis://cache?db=1", "behind the /"},
      {"unix://run/redis.sock", "begins with a /"},
      {"unix:///", "begins with a /"},
      {"unix:///a?password=secret", "db=N alone"},
      {"unix:///a?db=", "the database is a number"},
      {long_path.c_str(), "up to 107 bytes"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto address = Address::Parse(c.url);
    ASSERT_FALSE(address.ok());
    EXPECT_THAT(address.error().message, HasSubstr(c.why));
    EXPECT_THAT(address.error().message, HasSubstr("expected redis://"));
    EXPECT_THAT(address.error().message, Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace onebox::redis
