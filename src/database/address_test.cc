#include "database/address.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"
#include "os/testing.h"

namespace onebox::database {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DatabaseAddress, IsReadFromItsUrl) {
  struct Case {
    const char* url;
    Address address;
    const char* text;
  };
  const Case cases[] = {
      {"mysql://app@db/game",
       {.host = "db", .port = 3306, .user = "app", .database = "game"},
       "mysql://db:3306/game"},
      {"MariaDB://app:secret@10.0.0.1:3307/game",
       {.host = "10.0.0.1", .port = 3307, .user = "app", .password = "secret", .database = "game"},
       "mysql://10.0.0.1:3307/game"},
      {"mysql+pymysql://app:p%40ss:/w?rd@[::1]:1/game?charset=utf8mb4",
       {.host = "::1", .port = 1, .user = "app", .password = "p@ss:/w?rd", .database = "game"},
       "mysql://[::1]:1/game"},
      {"mysql://app@/game?unix_socket=/run/mysqld/mysqld.sock&password_file=/run/a%20secret",
       {.path = "/run/mysqld/mysqld.sock",
        .user = "app",
        .password_file = "/run/a secret",
        .database = "game"},
       "mysql:///game?unix_socket=/run/mysqld/mysqld.sock"},
      {"mysql://app@db/game?password_env=DB_PASSWORD",
       {.host = "db",
        .port = 3306,
        .user = "app",
        .password_env = "DB_PASSWORD",
        .database = "game"},
       "mysql://db:3306/game"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto address = Address::Parse(c.url);
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_TRUE(address.value() == c.address);
    EXPECT_EQ(address.value().text(), c.text);
  }
}

TEST(DatabaseAddress, SaysWhatIsWrongAndNeverThePassword) {
  struct Case {
    const char* url;
    const char* why;
  };
  const std::string long_path = "mysql://app@/game?unix_socket=/" + std::string(107, 'x');
  const Case cases[] = {
      {"db:3306", "there is no ://"},
      {"postgres://app:secret@db/game", "the scheme is none of"},
      {"mysqlx://app:secret@db/game", "the scheme is none of"},
      {"mysql://db/game", "there is no user"},
      {"mysql://:secret@db/game", "there is no user"},
      {"mysql://app:secret%4@db/game", "not followed by hex"},
      {"mysql://app:secret%00@db/game", "not followed by hex"},
      {"mysql://app:secret@/game", "there is no host"},
      {"mysql://app:secret@:3306/game", "the host is a name"},
      {"mysql://app:secret@d b/game", "the host is a name"},
      {"mysql://app:secret@::1/game", "stands in brackets"},
      {"mysql://app:secret@[::1/game", "a [ without a ]"},
      {"mysql://app:secret@[::1]x/game", "the port is a number"},
      {"mysql://app:secret@db:/game", "the port is a number"},
      {"mysql://app:secret@db:0/game", "the port is a number"},
      {"mysql://app:secret@db:65536/game", "the port is a number"},
      {"mysql://app:secret@db", "there is no database"},
      {"mysql://app:secret@db/", "there is no database"},
      {"mysql://app:secret@db/a%zz", "in the database is not followed"},
      {"mysql://app:secret@db/game?charset=latin1", "the charset is utf8mb4"},
      {"mysql://app:secret@db/game?password=secret", "behind the ? stand"},
      {"mysql://app@db/game?password_file=secret", "password_file is a path from /"},
      {"mysql://app@db/game?password_env=", "the name of a variable"},
      {"mysql://app:secret@db/game?password_env=P", "more than one password"},
      {"mysql://app@db/game?password_env=P&password_file=/p", "more than one password"},
      {"mysql://app@/game?unix_socket=run", "a path from /"},
      {"mysql://app@db/game?unix_socket=/run/s", "a host and a unix_socket"},
      {long_path.c_str(), "up to 107 bytes"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto address = Address::Parse(c.url);
    ASSERT_FALSE(address.ok());
    EXPECT_THAT(address.error().message, HasSubstr(c.why));
    EXPECT_THAT(address.error().message, HasSubstr("expected mysql://"));
    EXPECT_THAT(address.error().message, Not(HasSubstr("secret")));
  }
}

TEST(DatabaseAddress, ReadsItsPasswordWhenItIsAsked) {
  const os::TemporaryFolder folder("database");
  const std::string file = folder.path() + "/password";
  Address address;
  address.password_file = file;
  EXPECT_THAT(address.Password().error().message, HasSubstr(file));
  std::ofstream(file) << "\n";
  EXPECT_THAT(address.Password().error().message, HasSubstr("has no password in it"));
  std::ofstream(file) << "first\r\n";
  EXPECT_EQ(address.Password().value(), "first");
  std::ofstream(file) << " second ";
  EXPECT_EQ(address.Password().value(), " second ");

  Address named;
  named.password_env = "ONEBOX_TEST_PASSWORD";
  EXPECT_THAT(named.Password().error().message, HasSubstr("ONEBOX_TEST_PASSWORD"));
  ::setenv("ONEBOX_TEST_PASSWORD", "third", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(named.Password().value(), "third");
}

}  // namespace
}  // namespace onebox::database
