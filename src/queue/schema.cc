#include "queue/schema.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "os/file.h"
#include "queue/task.h"

namespace onebox::queue {
namespace {

// The numbers of the states stand in the conditions of the indexes below.
static_assert(static_cast<int>(State::kWaiting) == 2 && static_cast<int>(State::kRunning) == 3);
static_assert(kFirstEnded == State::kDone && static_cast<int>(State::kDone) == 4);
static_assert(static_cast<int>(State::kDead) == 7);

// Step i takes a file of version i to version i + 1. Steps are appended, never changed.
// What the columns mean is in docs/internals/queue-file.md.
constexpr std::array<const char*, kSchemaVersion> kSteps = {R"sql(
  CREATE TABLE queue (
    id     INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL UNIQUE,
    paused INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE task (
    id           INTEGER PRIMARY KEY,
    queue        INTEGER NOT NULL REFERENCES queue,
    state        INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    eta          INTEGER NOT NULL,
    token        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    deaths       INTEGER NOT NULL,
    cancel_asked INTEGER NOT NULL,
    lease_end    INTEGER,
    holder       INTEGER,
    progress     REAL,
    begun        INTEGER,
    ended        INTEGER,
    keep_until   INTEGER,
    members_left INTEGER,
    group_task   INTEGER,
    parent       INTEGER,
    enqueued     INTEGER NOT NULL,
    expires      INTEGER,
    retries      INTEGER NOT NULL,
    timeout      INTEGER NOT NULL,
    result_keep  INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    unique_key   BLOB,
    dedupe_key   BLOB,
    name         TEXT    NOT NULL
  ) STRICT;
  CREATE INDEX task_waiting  ON task (queue, priority, eta) WHERE state = 2;
  CREATE INDEX task_expiring ON task (expires)    WHERE state = 2 AND expires IS NOT NULL;
  CREATE INDEX task_running  ON task (lease_end)  WHERE state = 3;
  CREATE INDEX task_ended    ON task (keep_until) WHERE state >= 4;
  CREATE INDEX task_dead     ON task (queue)      WHERE state = 7;
  CREATE INDEX task_member   ON task (group_task) WHERE group_task IS NOT NULL;

  CREATE TABLE payload (
    task  INTEGER PRIMARY KEY REFERENCES task,
    bytes BLOB NOT NULL
  ) STRICT;

  CREATE TABLE outcome (
    task  INTEGER PRIMARY KEY REFERENCES task,
    bytes BLOB NOT NULL
  ) STRICT;

  CREATE TABLE key (
    kind       INTEGER NOT NULL,
    key        BLOB    NOT NULL,
    task       INTEGER NOT NULL,
    keep_until INTEGER,
    PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX key_kept ON key (keep_until) WHERE keep_until IS NOT NULL;

  CREATE TABLE reserved (
    id INTEGER NOT NULL
  ) STRICT;
  INSERT INTO reserved VALUES (1);
)sql"};

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

Result<Found> Recognise(Database& database) {
  const std::string& path = database.path();
  const std::uint64_t application = TRY(Number(database, "PRAGMA application_id"));
  const std::uint64_t version = TRY(Number(database, "PRAGMA user_version"));
  if (application == 0 && version == 0 &&
      TRY(Number(database, "SELECT count(*) FROM sqlite_schema")) == 0) {
    return Found::kNew;
  }
  if (application != kApplicationId) {
    return OperatorError(path + " is another program's database, not a queue of Onebox");
  }
  if (version > kSchemaVersion) {
    return OperatorError(
        fmt::format("{} is of a later Onebox (its version is {}, ours {}): run "
                    "that one, or give this one a file of its own",
                    path,
                    version,
                    kSchemaVersion));
  }
  return Found::kOurs;
}

Status Check(Database& database) {
  const std::string found = TRY(database.Ask("PRAGMA quick_check(1)"));
  if (found != "ok") return database.Damaged(found);
  return Done();
}

Status TakeStep(Database& database, std::uint64_t from) {
  const std::string ids =
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, from + 1);
  TRY(database.Begin(Durability::kDisk));
  TRY(database.Execute(kSteps[from]));
  TRY(database.Execute(ids.c_str()));
  return database.Commit();
}

Status Migrate(Database& database) {
  for (std::uint64_t version = TRY(Number(database, "PRAGMA user_version"));
       version < kSchemaVersion;
       ++version) {
    Status taken = TakeStep(database, version);
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

Result<std::unique_ptr<Database>> OpenAndCheck(const std::string& path) {
  auto database = TRY(Database::Open(path));
  TRY(database->Execute(kWary));
  if (TRY(Recognise(*database)) == Found::kOurs) TRY(Check(*database));
  return database;
}

}  // namespace

Result<std::unique_ptr<Database>> OpenQueueFile(const std::string& path, const FileSize& size) {
  TRY(os::MakePrivateFile(path));
  auto database = TRY(OpenAndCheck(path));
  if (TRY(database->Ask("PRAGMA journal_mode = WAL")) != "wal") {
    return OperatorError(path + ": its file system cannot share memory, which SQLite's log needs");
  }
  TRY(database->Execute(kSettings));
  TRY(Migrate(*database));
  TRY(LimitSize(*database, size));
  return database;
}

}  // namespace onebox::queue
