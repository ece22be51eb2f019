#pragma once
// One connection to a MySQL or MariaDB: statements in, rows out, each within a deadline.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "database/address.h"
#include "os/fd.h"

struct st_mysql;  // the client library's

namespace onebox::database {

// What stands for a ? of a statement. A text is borrowed for the call.
using Value = std::variant<std::int64_t, std::string_view>;

struct Answer {
  using Cell = std::optional<std::string>;  // nothing: NULL
  std::vector<std::vector<Cell>> rows;
  std::uint64_t changed = 0;  // rows that the statement has changed or removed
};

// MySQL's numbers of what callers tell apart; MariaDB has the same.
inline constexpr unsigned kTableExists = 1050;
inline constexpr unsigned kDuplicateKey = 1062;
inline constexpr unsigned kSyntax = 1064;
inline constexpr unsigned kNoSuchTable = 1146;

// For one thread. Each statement is its own transaction until BEGIN; texts are utf8mb4, times UTC, and nothing
// waits more than a second for another's lock (Error with Retry::kYes).
//
// After an Error that is not the server's own word the connection is closed and stays so: whether the
// statement was done is then unknown, and what was not committed is undone by the server. It reconnects
// to nobody: its owner opens another, and knows that a transaction is gone.
// Address, clock and `interrupt` outlive Open(); the latter two the connection.
class Connection final {
 public:
  struct Options {
    // For opening and for each statement, whatever the server does: ETIMEDOUT.
    Duration timeout = std::chrono::seconds(2);
    // Readable: nothing waits any more, ECANCELED. Its owner wants to end.
    const os::Fd* interrupt = nullptr;
  };

  // The first of the address's places that answers. May wait for a resolver.
  static Result<Connection> Open(const Address& address,
                                 const Options& options,
                                 const Clock& clock);
  Connection(Connection&&) = default;
  Connection& operator=(Connection&&) = default;

  bool open() const { return mysql_ != nullptr; }

  // REQUIRES: open(), and one statement. With values it has as many ?, and none in texts of its own.
  Result<Answer> Do(std::string_view statement, std::initializer_list<Value> values = {});

  // The server's number of the last Error that was its word; 0 where it was not.
  unsigned refusal() const { return refusal_; }

 private:
  struct Close {
    void operator()(st_mysql* mysql) const;
  };
  using Handle = std::unique_ptr<st_mysql, Close>;
  enum class Doing : unsigned char { kConnecting, kAsking };

  Connection(std::string name, const Options& options, const Clock& clock)
      : name_(std::move(name)), options_(options), clock_(&clock) {}

  static Result<Connection> OpenAt(const Address& address,
                                   const std::string& host,
                                   const std::string& password,
                                   const Options& options,
                                   const Clock& clock);
  Status Connect(const Address& address, const std::string& host, const std::string& password);
  Status SetUp();
  std::string Filled(std::string_view statement, std::initializer_list<Value> values) const;
  void Append(const Value& value, std::string& statement) const;
  Result<Answer> Ask(std::string_view statement);  // by deadline_
  Result<Answer> Collect();
  template <typename Start, typename Continue>
  Status Await(Start start, Continue resume);
  int AwaitReady(int wanted);
  Error Fail();

  Handle mysql_;
  std::string name_;  // of the server, for messages
  Options options_;
  const Clock* clock_;
  Doing doing_ = Doing::kConnecting;
  Time deadline_;                            // of what is under way
  bool interrupted_ = false, late_ = false;  // it has been given up for that
  unsigned refusal_ = 0;
};

}  // namespace onebox::database
