#include "queue/schema.h"

#include <array>

#include "queue/task.h"

namespace onebox::queue {
namespace {

// The numbers of the states stand in the conditions of the indexes below.
static_assert(static_cast<int>(State::kWaiting) == 2 && static_cast<int>(State::kRunning) == 3);
static_assert(kFirstEnded == State::kDone && static_cast<int>(State::kDone) == 4);
static_assert(static_cast<int>(State::kDead) == 7);

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

}  // namespace

Result<sqlite::File> OpenQueueFile(const std::string& path, const sqlite::FileSize& size) {
  return sqlite::OpenFile(
      path, {.content = "queue", .application_id = kApplicationId, .steps = kSteps}, size);
}

}  // namespace onebox::queue
