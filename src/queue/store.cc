#include "queue/store.h"

#include <utility>

#include "base/check.h"
#include "queue/schema.h"

namespace onebox::queue {

// --- the file

Result<std::unique_ptr<Store>> Store::Open(const std::string& path, const Limits& limits) {
  sqlite::File file =
      TRY(OpenQueueFile(path, {.bytes_max = limits.file_bytes_max, .log_bytes = limits.log_bytes}));
  auto statements = TRY(Statements::Prepare(*file.database));
  std::unique_ptr<Store> store(new Store(limits, std::move(file), std::move(statements)));
  TRY(store->Load());
  return store;
}

Store::Store(const Limits& limits, sqlite::File file, Statements statements)
    : limits_(limits),
      lock_(std::move(file.lock)),
      database_(std::move(file.database)),
      statements_(std::move(statements)) {}

Store::~Store() {
  database_->Rollback();  // a group that nobody committed
}

Status Store::Load() {
  TRY(Count(queues_));
  Rows reserved = statements_.read_reserved.Query();
  if (!TRY(reserved.Next()) || reserved.Integer(0) <= reserved.Integer(1)) {
    return database_->Damaged("ids that were given are not reserved");
  }
  ids_ = kept_ids_ = {reserved.Integer(0), reserved.Integer(0)};
  return Done();
}

Status Store::Count(Queues& into) {
  Rows queues = statements_.all_queues.Query();
  while (TRY(queues.Next())) {
    const auto paused =
        queues.Integer(2) != 0 ? QueueFigures::Paused::kYes : QueueFigures::Paused::kNo;
    if (!into.Load(queues.Integer(0), queues.Bytes(1), paused)) {
      return database_->Damaged("a queue's id");
    }
  }
  Rows counts = statements_.count_tasks.Query();
  while (TRY(counts.Next())) {
    TaskRow row;
    row.queue = counts.Integer(0);
    row.state = static_cast<State>(counts.Integer(1));
    row.priority = static_cast<int>(counts.Integer(2));
    row.eta = WallTime::max();  // what is due is counted when it is asked for
    if (into.FindById(row.queue) == nullptr || row.priority < 0 || row.priority > kPriorityMax) {
      return database_->Damaged("a task's queue or priority");
    }
    into.ToChange(row.queue).counts.Add(row,
                                        static_cast<std::uint64_t>(counts.Integer(3)),
                                        static_cast<std::uint64_t>(counts.Integer(4)));
  }
  into.Keep();
  return Done();
}

// --- transactions

Status Store::Enter(Durability durability) {
  if (group_ == InGroup::kYes) return Done();
  if (group_ == InGroup::kBroken) return group_error_;
  return database_->Begin(durability);
}

Status Store::Leave() {
  if (group_ == InGroup::kYes) return Done();
  auto committed = database_->Commit();
  if (!committed.ok()) {
    Undo(committed.error());
    return committed;
  }
  queues_.Keep();
  kept_ids_ = ids_;
  return Done();
}

void Store::Undo(const Error& error) {
  database_->Rollback();
  queues_.Undo();
  ids_ = kept_ids_;
  if (group_ == InGroup::kNo) return;
  group_ = InGroup::kBroken;
  group_error_ = error;
}

Status Store::BeginGroup() {
  CHECK(group_ == InGroup::kNo);
  TRY(database_->Begin(Durability::kDisk));
  group_ = InGroup::kYes;
  return Done();
}

Status Store::CommitGroup() {
  const InGroup was = std::exchange(group_, InGroup::kNo);
  CHECK(was != InGroup::kNo);
  if (was == InGroup::kBroken) return std::move(group_error_);
  return Leave();
}

// --- one task

Result<std::optional<TaskRow>> Store::Find(TaskId id) {
  Rows rows = statements_.find_task.Query(id);
  if (!TRY(rows.Next())) return std::optional<TaskRow>();
  TaskRow row;
  row.id = id;
  row.queue = rows.Integer(0);
  row.state = static_cast<State>(rows.Integer(1));
  row.priority = static_cast<int>(rows.Integer(2));
  row.eta = rows.Time(3);
  row.token = rows.Integer(4);
  row.attempts = static_cast<std::uint32_t>(rows.Integer(5));
  row.deaths = static_cast<std::uint32_t>(rows.Integer(6));
  row.cancel = rows.Integer(7) != 0 ? TaskRow::Cancel::kAsked : TaskRow::Cancel::kNo;
  row.group = rows.Integer(8);
  row.retries = static_cast<std::uint32_t>(rows.Integer(9));
  row.result_keep = Duration(rows.Integer(10));
  row.bytes = static_cast<std::uint64_t>(rows.Integer(11));
  row.unique_key = rows.Bytes(12);
  row.dedupe_key = rows.Bytes(13);
  return std::optional(std::move(row));
}

Result<TaskRow> Store::Row(TaskId id) {
  auto row = TRY(Find(id));
  if (!row) return database_->Damaged("a task is named and not there");
  return std::move(*row);
}

Result<std::optional<TaskRow>> Store::FindHeld(const Held& held) {
  auto row = TRY(Find(held.id));
  if (row && (row->state != State::kRunning || row->token != held.token)) row.reset();
  return row;
}

void Store::CountIn(const TaskRow& row) {
  Counts& counts = queues_.ToChange(row.queue).counts;
  counts.Add(row, 1, row.bytes);
  if (row.state == State::kWaiting && row.eta <= counted_until_) ++counts.due;
}

void Store::CountOut(const TaskRow& row) {
  Counts& counts = queues_.ToChange(row.queue).counts;
  counts.Take(row);
  if (row.state == State::kWaiting && row.eta <= counted_until_) --counts.due;
}

}  // namespace onebox::queue
