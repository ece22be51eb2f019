#pragma once
// Statement: one prepared SQL statement with typed parameters and columns.

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/result.h"

namespace onebox::sqlite {

class Database;

// Bytes that are no text.
struct Blob {
  std::string_view bytes;
};

// The rows of one query, until it is destroyed: then the statement can be used again.
class Rows final {
 public:
  explicit Rows(const Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  Rows(Rows&& other) noexcept
      : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}
  Rows& operator=(Rows&&) = delete;
  ~Rows() {
    if (statement_ != nullptr) sqlite3_reset(statement_);
  }

  // Whether there is another row. The columns below are of that row, and views of it are good
  // until the next call.
  Result<bool> Next();

  bool IsNull(int column) const;
  std::int64_t Integer(int column) const;  // 0 for null
  double Real(int column) const;           // 0 for null
  std::string_view Bytes(int column) const;
  WallTime Time(int column) const;
  std::optional<WallTime> TimeIfAny(int column) const;

 private:
  const Database* database_;
  sqlite3_stmt* statement_;
};

// The first column of each row.
Result<std::vector<std::int64_t>> IntegersOf(Rows rows);

// Prepared once, run often. The bytes that parameters refer to outlive the call, and the Rows.
class Statement final {
 public:
  Statement() = default;  // to be assigned
  Statement(const Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}

  // Parameters are ?1, ?2 ... in the order of the arguments: integers, doubles, text
  // (std::string_view), Blob, times and durations (nanoseconds, times since 1970), and
  // std::optional of these.
  template <typename... Values>
  Rows Query(const Values&... values) {
    int position = 0;
    (Bind(++position, values), ...);
    return Rows(*database_, statement_.get());
  }

  // For a statement without rows, or whose rows nobody wants.
  template <typename... Values>
  Status Run(const Values&... values) {
    Rows rows = Query(values...);
    while (TRY(rows.Next())) {
    }
    return Done();
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  template <std::integral Number>
  void Bind(int position, Number value) {
    BindInteger(position, static_cast<std::int64_t>(value));
  }
  template <typename Value>
  void Bind(int position, const std::optional<Value>& value) {
    if (value.has_value()) return Bind(position, *value);
    BindNull(position);
  }
  void Bind(int position, WallTime time) { BindInteger(position, time.time_since_epoch().count()); }
  void Bind(int position, Duration duration) { BindInteger(position, duration.count()); }
  void Bind(int position, double value);
  void Bind(int position, std::string_view text);
  void Bind(int position, Blob blob);
  void BindInteger(int position, std::int64_t value);
  void BindNull(int position);

  const Database* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

}  // namespace onebox::sqlite
