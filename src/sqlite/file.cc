#include "sqlite/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "os/file.h"

namespace onebox::sqlite {
namespace {

// Before anything is read: a damaged page is told, not followed; nothing in the file is run.
constexpr const char* kWary = "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF";

// 32 MiB of pages in memory.
constexpr const char* kSettings =
    "PRAGMA foreign_keys = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -32768;";

Result<std::uint64_t> Number(Database& database, const char* pragma) {
  const std::string text = TRY(database.Ask(pragma));
  return static_cast<std::uint64_t>(std::strtoull(text.c_str(), nullptr, 10));
}

enum class Found : unsigned char { kNew, kOurs };

Result<Found> Recognise(Database& database, const Form& form) {
  const std::string& path = database.path();
  const std::uint64_t application = TRY(Number(database, "PRAGMA application_id"));
  const std::uint64_t version = TRY(Number(database, "PRAGMA user_version"));
  if (application == 0 && version == 0 &&
      TRY(Number(database, "SELECT count(*) FROM sqlite_schema")) == 0) {
    return Found::kNew;
  }
  if (application != form.application_id) {
    return OperatorError(fmt::format(
        "{} is another program's database, not a {} of Onebox", path, database.content()));
  }
  if (version > form.steps.size()) {
    return OperatorError(
        fmt::format("{} is of a later Onebox (its version is {}, ours {}): run "
                    "that one, or give this one a file of its own",
                    path,
                    version,
                    form.steps.size()));
  }
  return Found::kOurs;
}

Status Check(Database& database) {
  const std::string found = TRY(database.Ask("PRAGMA quick_check(1)"));
  if (found != "ok") return database.Damaged(found);
  return Done();
}

Status TakeStep(Database& database, const Form& form, std::uint64_t from) {
  const std::string ids = fmt::format(
      "PRAGMA application_id = {}; PRAGMA user_version = {}", form.application_id, from + 1);
  TRY(database.Begin(Durability::kDisk));
  TRY(database.Execute(form.steps[from]));
  TRY(database.Execute(ids.c_str()));
  return database.Commit();
}

Status Migrate(Database& database, const Form& form) {
  for (std::uint64_t version = TRY(Number(database, "PRAGMA user_version"));
       version < form.steps.size();
       ++version) {
    Status taken = TakeStep(database, form, version);
    if (!taken.ok()) {
      database.Rollback();
      return taken;
    }
  }
  return Done();
}

Status LimitSize(Database& database, const FileSize& size) {
  const std::uint64_t page_bytes = TRY(Number(database, "PRAGMA page_size"));
  const std::string limits =
      fmt::format("PRAGMA max_page_count = {}; PRAGMA wal_autocheckpoint = {}",
                  std::max<std::uint64_t>(16, size.bytes_max / page_bytes),
                  std::max<std::uint64_t>(1, size.log_bytes / page_bytes));
  return database.Execute(limits.c_str());
}

Result<std::unique_ptr<Database>> OpenAndCheck(const std::string& path, const Form& form) {
  auto database = TRY(Database::Open(path, form.content));
  TRY(database->Execute(kWary));
  if (TRY(Recognise(*database, form)) == Found::kOurs) TRY(Check(*database));
  return database;
}

}  // namespace

Result<File> OpenFile(const std::string& path, const Form& form, const FileSize& size) {
  auto lock = os::LockFile(path + ".lock");
  if (!lock.ok()) {
    if (lock.error().system_error != EWOULDBLOCK) return std::move(lock).error();
    return OperatorError(path + " is in use by another broker");
  }
  TRY(os::MakePrivateFile(path));
  auto database = TRY(OpenAndCheck(path, form));
  if (TRY(database->Ask("PRAGMA journal_mode = WAL")) != "wal") {
    return OperatorError(path + ": its file system cannot share memory, which SQLite's log needs");
  }
  TRY(database->Execute(kSettings));
  TRY(Migrate(*database, form));
  TRY(LimitSize(*database, size));
  return File{std::move(lock).value(), std::move(database)};
}

}  // namespace onebox::sqlite
