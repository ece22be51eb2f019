#include "sqlite/statement.h"

#include "base/check.h"
#include "sqlite/database.h"

namespace onebox::sqlite {
namespace {

// What we bind is within its limits, and the statement is ours and not running: anything else is
// a bug, or no memory.
void CheckBound(int code) {
  CHECK(code == SQLITE_OK);
}

}  // namespace

Result<bool> Rows::Next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->ErrorOf(code);
}

bool Rows::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Rows::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Rows::Real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string_view Rows::Bytes(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

WallTime Rows::Time(int column) const {
  return WallTime(Duration(Integer(column)));
}

std::optional<WallTime> Rows::TimeIfAny(int column) const {
  if (IsNull(column)) return std::nullopt;
  return Time(column);
}

Result<std::vector<std::int64_t>> IntegersOf(Rows rows) {
  std::vector<std::int64_t> integers;
  while (TRY(rows.Next())) {
    integers.push_back(rows.Integer(0));
  }
  return integers;
}

void Statement::Bind(int position, double value) {
  CheckBound(sqlite3_bind_double(statement_.get(), position, value));
}

// SQLite takes a null pointer for NULL, and an empty view may have one.
void Statement::Bind(int position, std::string_view text) {
  const char* const bytes = text.empty() ? "" : text.data();
  CheckBound(sqlite3_bind_text64(
      statement_.get(), position, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::Bind(int position, Blob blob) {
  const char* const bytes = blob.bytes.empty() ? "" : blob.bytes.data();
  CheckBound(
      sqlite3_bind_blob64(statement_.get(), position, bytes, blob.bytes.size(), SQLITE_STATIC));
}

void Statement::BindInteger(int position, std::int64_t value) {
  CheckBound(sqlite3_bind_int64(statement_.get(), position, value));
}

void Statement::BindNull(int position) {
  CheckBound(sqlite3_bind_null(statement_.get(), position));
}

}  // namespace onebox::sqlite
