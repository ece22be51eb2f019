#include "schedule/jobs_schema.h"

#include <array>

#include "schedule/job.h"

namespace onebox::schedule {
namespace {

// The numbers of the states stand in the conditions of the indexes below.
static_assert(static_cast<int>(RunState::kRunning) == 2 && static_cast<int>(RunState::kDone) == 3);

// What the columns mean is in docs/internals/jobs-file.md.
constexpr std::array<const char*, kSchemaVersion> kSteps = {R"sql(
  CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    source       INTEGER NOT NULL,
    trigger_kind INTEGER NOT NULL,
    trigger_text TEXT    NOT NULL,
    zone         TEXT    NOT NULL,
    jitter       INTEGER NOT NULL,
    timeout      INTEGER NOT NULL,
    overlap      INTEGER NOT NULL,
    catch_up     INTEGER NOT NULL,
    catch_up_max INTEGER NOT NULL,
    late         INTEGER NOT NULL,
    retries      INTEGER NOT NULL,
    work         INTEGER NOT NULL,
    what         TEXT    NOT NULL,
    handled      INTEGER NOT NULL,
    paused       INTEGER NOT NULL,
    removed      INTEGER,
    missed       INTEGER NOT NULL,
    skipped      INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE pending (
    fence  INTEGER PRIMARY KEY,
    job    INTEGER NOT NULL REFERENCES job,
    firing INTEGER NOT NULL,
    manual INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX pending_of_job ON pending (job);

  CREATE TABLE run (
    id        INTEGER PRIMARY KEY,
    job       INTEGER NOT NULL REFERENCES job,
    state     INTEGER NOT NULL,
    task      INTEGER NOT NULL,
    firing    INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    fence     INTEGER NOT NULL,
    manual    INTEGER NOT NULL,
    worker    INTEGER NOT NULL,
    attempts  INTEGER NOT NULL,
    begun     INTEGER,
    ended     INTEGER,
    traceback TEXT
  ) STRICT;
  CREATE INDEX run_of_job    ON run (job);
  CREATE INDEX run_unended   ON run (job) WHERE state <= 2;
  CREATE INDEX run_traceback ON run (job) WHERE traceback IS NOT NULL;

  CREATE TABLE fence (
    next INTEGER NOT NULL
  ) STRICT;
  INSERT INTO fence VALUES (1);
)sql"};

}  // namespace

Result<sqlite::File> OpenJobsFile(const std::string& path, const sqlite::FileSize& size) {
  return sqlite::OpenFile(
      path, {.content = "list of jobs", .application_id = kApplicationId, .steps = kSteps}, size);
}

}  // namespace onebox::schedule
