#pragma once
// Database: one open SQLite file, whose failures are Errors.

#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "base/result.h"
#include "sqlite/statement.h"

namespace onebox::sqlite {

// What a commit waits for. Both keep what is committed when this process is killed.
enum class Durability : unsigned char {
  kKernel,  // the kernel has it: lost with the machine's power, and with nothing else
  kDisk,    // the disk has it, and all that was committed before
};

// One file in WAL mode, used by one thread. Its Statements end before it does.
class Database final {
 public:
  // Opens the file, which is there; it may be empty. Nothing is read before the first statement.
  // `content` is what people call what it holds: "queue".
  static Result<std::unique_ptr<Database>> Open(const std::string& path, std::string_view content);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }
  const std::string& content() const { return content_; }

  // One or more statements whose rows nobody wants; for the start, not for work.
  Status Execute(const char* sql);
  // The first column of the only row of a query or PRAGMA.
  Result<std::string> Ask(const char* sql);
  Result<Statement> Prepare(std::string_view sql);

  // A transaction is begun and ended by these alone. `durability` is what its Commit() waits for.
  // After an Error of any statement, or of Commit(), what is left to do is Rollback(): SQLite may
  // have done so itself.
  Status Begin(Durability durability);
  Status Commit();
  void Rollback();

  // What `code`, just given by a call on this file, means. A code that only a mistake of ours
  // can give is a bug, and ends the process.
  Error ErrorOf(int code) const;
  Error Damaged(std::string_view what) const;

 private:
  struct Close {
    void operator()(sqlite3* file) const;
  };

  Database(std::string path, std::string_view content, std::unique_ptr<sqlite3, Close> file)
      : path_(std::move(path)), content_(content), file_(std::move(file)) {}

  std::string path_;
  std::string content_;
  std::unique_ptr<sqlite3, Close> file_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  Durability durability_ = Durability::kDisk;
};

}  // namespace onebox::sqlite
