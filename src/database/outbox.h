#pragma once
// The outbox: tasks that the app has written beside its own rows, in its own transaction.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "database/connection.h"

namespace onebox::database {

// What makes the table: docs/use/outbox.md shows it to people whose app may not create tables. The app
// needs the right to INSERT, and we SELECT, UPDATE and DELETE.
inline constexpr std::string_view kCreateOutbox =
    "CREATE TABLE onebox_outbox (\n"
    "  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
    "  task JSON NOT NULL,\n"
    "  created DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),\n"
    "  error VARCHAR(255) NULL,\n"
    "  KEY waiting (error, id)\n"
    ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
inline constexpr std::size_t kOutboxErrorCharactersMax = 255;

struct OutboxRow {
  std::int64_t id = 0;
  // The same each time that this row is taken, and no other's: of another table of that name, or of a
  // row that got the same id after the table was emptied.
  std::string dedupe_key;
  std::string task;  // JSON, as the app has written it
};

struct RefusedRow {
  std::int64_t id = 0;
  std::string why;
};

// What has become of a batch. A row that is in neither is left where it is, for later.
struct OutboxAnswer {
  std::vector<std::int64_t> done;   // each is on our disk
  std::vector<RefusedRow> refused;  // can never be taken: set aside, for people
};

// Take -> the tasks go to the disk -> Finish, both on one connection. Between the two the rows are locked, so that of
// several boxes one has them; a lock ends with its connection. The app is never held up: what it inserts meets
// none of these locks, and rows of transactions that have not ended are passed over. So ids are no order of
// commits, and none is taken for read because a larger one was.
//
// What was taken and is on our disk when the connection is lost comes again, and is known by its dedupe key: here. With
// several boxes another may take it then, so a task of an outbox is run at least once.
class Outbox final {
 public:
  struct Limits {
    std::size_t rows_max = 100;
    std::size_t bytes_max = 8 << 20;  // of the tasks of a batch, but that one has at least a row
    std::size_t task_bytes_max = 8 << 20;  // larger ones are set aside
  };

  // The connection outlives it.
  Outbox(Connection& connection, const Limits& limits) : connection_(connection), limits_(limits) {}

  // Makes the table where it is not there. An Error says what the operator can do.
  Status Create();

  struct Batch {
    std::vector<OutboxRow> rows;        // by id
    std::vector<RefusedRow> too_large;  // for Finish() to set aside
    bool empty() const { return rows.empty() && too_large.empty(); }
  };
  // Rows that were committed, with ids above `after`: some rows that are left for later need not stand before
  // all others for ever. One that is not empty is to be finished before the next.
  Result<Batch> Take(std::int64_t after);
  Status Finish(const OutboxAnswer& answer);

  // The rows that were set aside and are there still, up to `most`.
  Result<std::uint64_t> CountSetAside(std::uint64_t most);

 private:
  struct Found;
  Result<std::vector<Found>> Lock(std::int64_t after);
  Status Read(const std::vector<std::int64_t>& ids, Batch& batch);
  Status Remove(std::int64_t id);
  Status SetAside(const RefusedRow& row);

  Connection& connection_;
  const Limits limits_;
};

}  // namespace onebox::database
