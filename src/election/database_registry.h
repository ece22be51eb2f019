#pragma once
// The record of an election in MySQL or MariaDB: one row.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "database/address.h"
#include "database/connection.h"
#include "election/registry.h"
#include "os/fd.h"

namespace onebox::election {

// docs/use/election.md shows it to people whose app may not create tables.
inline constexpr std::string_view kCreateElection =
    "CREATE TABLE onebox_election (\n"
    "  name VARCHAR(64) NOT NULL PRIMARY KEY,\n"
    "  holder VARCHAR(255) NOT NULL,\n"
    "  fence BIGINT NOT NULL,\n"
    "  beat BIGINT NOT NULL\n"
    ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";

// Opens its connection, and makes the table where it is not there, when it is asked, and again after an Error.
// Each call is a transaction. Clock and `interrupt` outlive it.
class DatabaseRegistry final : public Registry {
 public:
  struct Options {
    database::Address address;
    std::string name;    // of the election, up to 64 characters
    std::string holder;  // our name of ourselves, up to 255
    database::Connection::Options connection;
  };
  DatabaseRegistry(Options options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  Result<std::optional<Record>> Read() override;
  Result<std::optional<std::int64_t>> Take(const std::optional<Record>& seen) override;
  Result<bool> Renew(std::int64_t fence) override;
  Status Resign(std::int64_t fence) override;

 private:
  Result<bool> Insert();
  Result<bool> Replace(const Record& seen);
  Result<database::Answer> Ask(std::string_view statement,
                               std::initializer_list<database::Value> values);
  Status Open();

  const Options options_;
  const Clock& clock_;
  std::optional<database::Connection> connection_;
};

}  // namespace onebox::election
