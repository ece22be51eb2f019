#pragma once
// Where a MySQL or MariaDB is and as whom to speak to it, as one URL says it.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::database {

inline constexpr std::uint16_t kDefaultPort = 3306;

// A value; of host and path one is set.
struct Address {
  // mysql://user[:password]@host[:port]/database, or with ?unix_socket=/path and no host. mariadb:// is the
  // same, and so are the names of drivers that SQLAlchemy knows (mysql+pymysql://). Behind the ? may
  // stand password_file=/path, or password_env=NAME for a variable of the environment, in the place of the
  // password, and charset=utf8mb4, which is used anyhow. %40 stands for @. An Error says what was
  // expected, and never shows the password.
  static Result<Address> Parse(std::string_view url);

  bool is_unix() const { return !path.empty(); }
  // As Parse() takes it, but without user and password: for logs.
  std::string text() const;

  // What is in the file or the variable now, without a line's end; else `password`.
  Result<std::string> Password() const;

  std::string host = {};  // a name or an IP address, without brackets
  std::uint16_t port = 0;
  std::string path = {};  // of a unix socket, absolute
  std::string user = {}, password = {};
  std::string password_file = {}, password_env = {};  // one of the three, or none
  std::string database = {};

  bool operator==(const Address&) const = default;
};

}  // namespace onebox::database
