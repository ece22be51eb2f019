// What people do with tasks and queues, and what they ask.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "queue/store.h"

namespace onebox::queue {
namespace {

// The columns are kStatusColumns in statements.cc.
TaskStatus StatusIn(const Rows& rows) {
  TaskStatus task;
  task.id = rows.Integer(0);
  task.state = static_cast<State>(rows.Integer(1));
  task.queue = rows.Bytes(2);
  task.name = rows.Bytes(3);
  task.priority = static_cast<int>(rows.Integer(4));
  task.attempts = static_cast<std::uint32_t>(rows.Integer(5));
  task.deaths = static_cast<std::uint32_t>(rows.Integer(6));
  task.members_left = static_cast<std::uint32_t>(rows.Integer(7));
  task.group = rows.Integer(8);
  task.parent = rows.Integer(9);
  task.enqueued = rows.Time(10);
  task.eta = rows.Time(11);
  task.begun = rows.TimeIfAny(12);
  task.ended = rows.TimeIfAny(13);
  task.lease_end = rows.TimeIfAny(14);
  task.token = rows.Integer(15);
  task.holder = rows.Integer(16);
  if (!rows.IsNull(17)) task.progress = rows.Real(17);
  task.cancel_asked = rows.Integer(18) != 0;
  task.outcome = rows.Bytes(19);
  return task;
}

Result<std::vector<TaskStatus>> StatusesIn(Rows rows) {
  std::vector<TaskStatus> tasks;
  while (TRY(rows.Next())) {
    tasks.push_back(StatusIn(rows));
  }
  return tasks;
}

}  // namespace

// --- cancel, retry, purge, pause

Result<std::vector<Outcome>> Store::Cancel(std::span<const TaskId> tasks, WallTime now) {
  return ForEach<Outcome>(Durability::kDisk, tasks, [&](TaskId id) { return CancelOne(id, now); });
}

Result<Outcome> Store::CancelOne(TaskId id, WallTime now) {
  const auto row = TRY(Find(id));
  if (!row) return Outcome::kUnknown;
  if (row->state == State::kRunning) {
    TRY(statements_.ask_cancel.Run(id));
    return Outcome::kRunning;
  }
  if (row->state >= kFirstEnded && row->state != State::kDead) return Outcome::kEnded;
  TRY(End(*row, State::kCancelled, now));
  return Outcome::kDone;
}

Result<std::vector<Outcome>> Store::RetryDead(std::span<const TaskId> tasks, WallTime now) {
  return ForEach<Outcome>(Durability::kDisk, tasks, [&](TaskId id) { return RetryOne(id, now); });
}

Result<Outcome> Store::RetryOne(TaskId id, WallTime now) {
  auto row = TRY(Find(id));
  if (!row) return Outcome::kUnknown;
  if (row->state != State::kDead) return Outcome::kEnded;
  const NewTask keys{.unique_key = row->unique_key, .dedupe_key = row->dedupe_key};
  if (TRY(FindByKeys(keys, now))) return Outcome::kKeyTaken;
  TRY(PutKeys(keys, id));
  TRY(statements_.wait_afresh.Run(id, now));
  CountOut(*row);
  row->state = State::kWaiting;
  row->eta = now;
  CountIn(*row);
  return Outcome::kDone;
}

Result<std::uint32_t> Store::Purge(std::string_view queue, std::uint32_t limit, WallTime now) {
  CHECK(limit >= 1 && limit <= kBatchMax);
  const Queue* const found = queues_.Find(queue);
  if (found == nullptr) return std::uint32_t{0};
  return Within(Durability::kDisk, [&]() -> Result<std::uint32_t> {
    return CancelAll(TRY(IntegersOf(statements_.first_waiting.Query(found->id, limit))), now);
  });
}

Result<std::uint32_t> Store::PurgeDead(std::string_view queue, std::uint32_t limit, WallTime now) {
  CHECK(limit >= 1 && limit <= kBatchMax);
  const Queue* const found = queues_.Find(queue);
  if (found == nullptr) return std::uint32_t{0};
  return Within(Durability::kDisk, [&]() -> Result<std::uint32_t> {
    return CancelAll(TRY(IntegersOf(statements_.first_dead.Query(found->id, limit))), now);
  });
}

Result<std::uint32_t> Store::CancelAll(const std::vector<TaskId>& tasks, WallTime now) {
  for (const TaskId id : tasks) {
    TRY(CancelOne(id, now));
  }
  return static_cast<std::uint32_t>(tasks.size());
}

Status Store::SetPaused(std::string_view queue, QueueFigures::Paused paused) {
  if (auto error = WhyNot({.queue = queue, .name = queue})) return std::move(*error);
  if (auto error = WhyNoQueue(queue)) return std::move(*error);
  return Within(Durability::kDisk, [&]() -> Status {
    Queue& found = queues_.ToChange(TRY(QueueFor(queue)));
    TRY(statements_.pause_queue.Run(found.id, paused == QueueFigures::Paused::kYes));
    found.paused = paused;
    return Done();
  });
}

// --- questions

Result<std::optional<TaskStatus>> Store::StatusOf(TaskId id) {
  Rows rows = statements_.status.Query(id);
  if (!TRY(rows.Next())) return std::optional<TaskStatus>();
  return std::optional(StatusIn(rows));
}

Result<std::vector<TaskStatus>> Store::DeadLetters(std::string_view queue, const Page& page) {
  CHECK(page.limit >= 1 && page.limit <= kBatchMax);
  const Queue* const found = queues_.Find(queue);
  if (found == nullptr) return std::vector<TaskStatus>();
  return StatusesIn(statements_.dead_letters.Query(found->id, page.after, page.limit));
}

Result<std::vector<TaskStatus>> Store::Members(TaskId callback, const Page& page) {
  CHECK(page.limit >= 1 && page.limit <= kBatchMax);
  return StatusesIn(statements_.members.Query(callback, page.after, page.limit));
}

Result<std::vector<TaskStatus>> Store::Running(const Page& page) {
  CHECK(page.limit >= 1 && page.limit <= kBatchMax);
  return StatusesIn(statements_.running.Query(page.after, page.limit));
}

Result<std::vector<QueueFigures>> Store::Figures(WallTime now) {
  CHECK(group_ == InGroup::kNo);  // what is counted here is not undone with it
  TRY(CountDue(now));
  std::vector<QueueFigures> all;
  for (const auto& queue : queues_.all()) {
    const Counts& counts = queue->counts;
    QueueFigures& figures = all.emplace_back();
    figures.name = queue->name;
    figures.paused = queue->paused;
    figures.held = counts.held;
    figures.waiting = counts.waiting_all();
    figures.due = counts.due;
    figures.running = counts.running;
    figures.dead = counts.dead;
    figures.bytes = counts.bytes;
    const auto first = TRY(FirstEta(*queue));
    if (first) figures.oldest = std::max(Duration(0), now - *first);
    figures.done_per_minute = counts.DonePerMinute(now);
    figures.enqueued_total = counts.enqueued_total;
    figures.done_total = counts.done_total;
    figures.failed_total = counts.failed_total;
    figures.expired_total = counts.expired_total;
    figures.cancelled_total = counts.cancelled_total;
    figures.dead_total = counts.dead_total;
  }
  return all;
}

// Counts those whose ETA has come since it was counted last. A clock that was set back changes
// nothing: what was due stays so.
Status Store::CountDue(WallTime now) {
  if (now <= counted_until_) return Done();
  std::vector<std::pair<std::int64_t, std::uint64_t>> more;
  for (const auto& queue : queues_.all()) {
    std::uint64_t due = 0;
    for (int priority = 0; priority <= kPriorityMax; ++priority) {
      if (queue->counts.waiting[static_cast<std::size_t>(priority)] == 0) continue;
      Rows rows = statements_.count_due.Query(queue->id, priority, counted_until_, now);
      TRY(rows.Next());
      due += static_cast<std::uint64_t>(rows.Integer(0));
    }
    if (due > 0) more.emplace_back(queue->id, due);
  }
  for (const auto& [id, due] : more) {
    queues_.ToChange(id).counts.due += due;
  }
  queues_.Keep();
  counted_until_ = now;
  return Done();
}

Result<std::optional<WallTime>> Store::FirstEta(const Queue& queue) {
  std::optional<WallTime> first;
  for (int priority = 0; priority <= kPriorityMax; ++priority) {
    if (queue.counts.waiting[static_cast<std::size_t>(priority)] == 0) continue;
    Rows rows = statements_.first_eta.Query(queue.id, priority);
    TRY(rows.Next());
    const auto eta = rows.TimeIfAny(0);
    if (eta && (!first || *eta < *first)) first = eta;
  }
  return first;
}

Result<std::optional<WallTime>> Store::NextDue() {
  std::optional<WallTime> next;
  for (const auto& queue : queues_.all()) {
    if (queue->paused == QueueFigures::Paused::kYes) continue;
    const auto first = TRY(FirstEta(*queue));
    if (first && (!next || *first < *next)) next = first;
  }
  return next;
}

void Store::CheckInvariants() {
  const CrashStory story("counting the queue's file");
  Queues counted;
  CHECK(Count(counted).ok());
  CHECK(counted.size() == queues_.size());
  for (const auto& queue : queues_.all()) {
    const Queue* const other = counted.FindById(queue->id);
    CHECK(other->name == queue->name && other->paused == queue->paused);
    const Counts& ours = queue->counts;
    const Counts& files = other->counts;
    CHECK(ours.held == files.held && ours.waiting == files.waiting);
    CHECK(ours.running == files.running && ours.dead == files.dead && ours.bytes == files.bytes);
    std::uint64_t due = 0;
    for (int priority = 0; priority <= kPriorityMax; ++priority) {
      Rows rows = statements_.count_due.Query(queue->id, priority, WallTime::min(), counted_until_);
      CHECK(rows.Next().ok());
      due += static_cast<std::uint64_t>(rows.Integer(0));
    }
    CHECK(due == ours.due);
  }
}

}  // namespace onebox::queue
