#include "sqlite/database.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "os/error.h"

namespace onebox::sqlite {
namespace {

// Another program's look at the file is short: nobody shall notice it. Longer is an Error.
constexpr int kBusyMilliseconds = 100;

// SQLite does not always know the errno, but always what it was doing.
const char* DoingAt(int code) {
  switch (code) {
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
      return "reading";
    case SQLITE_IOERR_WRITE:
      return "writing";
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
      return "waiting for the disk";
    case SQLITE_IOERR_TRUNCATE:
      return "truncating";
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
      return "sharing memory with other readers";
    default:
      return (code & 0xff) == SQLITE_CANTOPEN ? "opening" : "a call of the system";
  }
}

}  // namespace

void Database::Close::operator()(sqlite3* file) const {
  CHECK(sqlite3_close(file) == SQLITE_OK);  // anything else: a Statement outlived us
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                 std::string_view content) {
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;  // one thread uses it
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  std::unique_ptr<Database> database(
      new Database(path, content, std::unique_ptr<sqlite3, Close>(opened)));
  if (code != SQLITE_OK) return database->ErrorOf(code);
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, kBusyMilliseconds);
  database->begin_ = TRY(database->Prepare("BEGIN IMMEDIATE"));
  database->commit_ = TRY(database->Prepare("COMMIT"));
  database->rollback_ = TRY(database->Prepare("ROLLBACK"));
  TRY(database->Execute("PRAGMA synchronous = FULL"));
  return database;
}

Status Database::Execute(const char* sql) {
  const int code = sqlite3_exec(file_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return ErrorOf(code);
  return Done();
}

Result<std::string> Database::Ask(const char* sql) {
  Statement statement = TRY(Prepare(sql));
  Rows rows = statement.Query();
  const bool found = TRY(rows.Next());
  return std::string(found ? rows.Bytes(0) : std::string_view());
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v3(file_.get(),
                                      sql.data(),
                                      static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT,
                                      &prepared,
                                      nullptr);
  if (code == SQLITE_ERROR) {  // a table or column that our SQL names is not there
    return OperatorError(
        fmt::format("{} was changed by another program: {}", path_, sqlite3_errmsg(file_.get())));
  }
  if (code != SQLITE_OK) return ErrorOf(code);
  return Statement(*this, prepared);
}

Status Database::Begin(Durability durability) {
  if (durability != durability_) {  // cannot be said within a transaction, nor be prepared
    const bool disk = durability == Durability::kDisk;
    TRY(Execute(disk ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
    durability_ = durability;
  }
  return begin_.Run();
}

Status Database::Commit() {
  return commit_.Run();
}

void Database::Rollback() {
  if (sqlite3_get_autocommit(file_.get()) != 0) return;
  (void)rollback_.Run().ok();  // where reading fails, it is undone all the same
  CHECK(sqlite3_get_autocommit(file_.get()) != 0);
}

Error Database::ErrorOf(int code) const {
  const int system_error = sqlite3_system_errno(file_.get());
  switch (code & 0xff) {
    case SQLITE_FULL:  // SQLite does not say which
      return {Blame::kOperator,
              Retry::kYes,
              ENOSPC,
              path_ + " is full: its disk has no space left, or it has reached its own limit"};
    case SQLITE_READONLY:
      return {Blame::kOperator, Retry::kYes, EROFS, path_ + " cannot be written: it is read-only"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Blame::kOperator, Retry::kYes, EBUSY, path_ + " is locked by another program"};
    case SQLITE_CONSTRAINT:  // what it holds already contradicts itself
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Damaged(sqlite3_errmsg(file_.get()));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
      return {Blame::kSystem,
              Retry::kYes,
              system_error,
              fmt::format("{}: {} failed, SQLite's code {}{}{}",
                          path_,
                          DoingAt(code),
                          code,
                          system_error != 0 ? ": " : "",
                          system_error != 0 ? os::ErrorText(system_error) : "")};
    case SQLITE_NOMEM:
      return {Blame::kSystem, Retry::kYes, ENOMEM, path_ + ": no memory"};
    default:  // a misuse, wrong SQL
      const CrashStory story(sqlite3_errmsg(file_.get()));
      CHECK(code == SQLITE_OK);
      return {};
  }
}

Error Database::Damaged(std::string_view what) const {
  return OperatorError(fmt::format(
      "{0} is damaged, or no {1} of Onebox ({2}); it is left as it is. Save what can be read "
      "with `sqlite3 {0} .recover | sqlite3 {0}.recovered` and put that file in its place, or move "
      "{0} and {0}-wal away to begin with an empty {1}",
      path_,
      content_,
      what));
}

}  // namespace onebox::sqlite
