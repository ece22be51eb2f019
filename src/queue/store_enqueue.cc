// New tasks: what is refused, which are there already, and the rows of the others.
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "queue/store.h"

namespace onebox::queue {
namespace {

Error Refused(std::string why) {
  return {Blame::kApp, Retry::kNever, 0, std::move(why)};
}

Error Full(std::string why) {
  return {Blame::kApp, Retry::kYes, 0, std::move(why)};
}

std::optional<Blob> BlobIfAny(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  return Blob{bytes};
}

std::optional<TaskId> IdIfAny(TaskId id) {
  if (id == kNoTask) return std::nullopt;
  return id;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax;
}

}  // namespace

std::optional<Error> Store::WhyNot(const NewTask& task) const {
  if (!IsName(task.queue) || !IsName(task.name)) {
    return Refused(fmt::format("the name of a queue or task is 1 to {} bytes long", kNameBytesMax));
  }
  if (task.unique_key.size() > kKeyBytesMax || task.dedupe_key.size() > kKeyBytesMax) {
    return Refused(fmt::format("a unique or dedupe key is up to {} bytes long", kKeyBytesMax));
  }
  if (task.priority < 0 || task.priority > kPriorityMax) {
    return Refused(fmt::format("a priority is 0 to {}", kPriorityMax));
  }
  if (task.timeout < Duration(0) || task.result_keep < Duration(0) || task.result_keep > kKeepMax) {
    return Refused("a timeout is not negative, and a result is kept for ten years at most");
  }
  if (task.payload.size() > limits_.payload_bytes_max) {
    return Refused(fmt::format("a payload of {} bytes is larger than payload_bytes_max, {}",
                               task.payload.size(),
                               limits_.payload_bytes_max));
  }
  return std::nullopt;
}

std::optional<Error> Store::WhyNoQueue(std::string_view queue) const {
  if (queues_.Find(queue) != nullptr || queues_.size() < limits_.queues_max) return std::nullopt;
  return Full(fmt::format("there are {} queues, as many as queues_max", queues_.size()));
}

std::optional<Error> Store::WhyNoRoom(std::string_view queue,
                                      std::uint64_t tasks,
                                      std::uint64_t bytes) const {
  if (auto error = WhyNoQueue(queue)) return error;
  const Queue* const found = queues_.Find(queue);
  const Counts counts = found != nullptr ? found->counts : Counts();
  if (counts.live() + tasks > limits_.tasks_max) {
    return Full(fmt::format("queue {} is full: it has {} tasks, tasks_max is {}",
                            queue,
                            counts.live(),
                            limits_.tasks_max));
  }
  if (counts.bytes + bytes > limits_.bytes_max) {
    return Full(fmt::format("queue {} is full: its payloads have {} bytes, bytes_max is {}",
                            queue,
                            counts.bytes,
                            limits_.bytes_max));
  }
  return std::nullopt;
}

Result<std::vector<Store::Admission>> Store::Enqueue(std::span<const NewTask> tasks, WallTime now) {
  return ForEach<Admission>(Durability::kDisk, tasks, [&](const NewTask& task) {
    return EnqueueOne(task, Limited::kYes, kNoTask, now);
  });
}

Result<Store::Admission> Store::EnqueueOne(const NewTask& task,
                                           Limited limited,
                                           TaskId group,
                                           WallTime now) {
  if (auto error = WhyNot(task)) return Admission(std::move(*error));
  if (const auto there = TRY(FindByKeys(task, now))) return Admission(*there);
  if (limited == Limited::kYes) {
    if (auto error = WhyNoRoom(task.queue, 1, task.payload.size())) {
      return Admission(std::move(*error));
    }
  }
  const TaskId id = TRY(Insert(task, {.group = group}, now));
  return Admission(Enqueued{id, Enqueued::As::kNew});
}

Result<std::optional<Enqueued>> Store::FindByKeys(const NewTask& task, WallTime now) {
  const auto holder = [&](KeyKind kind, std::string_view key) -> Result<TaskId> {
    if (key.empty()) return kNoTask;
    Rows rows = statements_.find_key.Query(static_cast<int>(kind), Blob{key});
    if (!TRY(rows.Next())) return kNoTask;
    const auto keep_until = rows.TimeIfAny(1);
    return keep_until && *keep_until <= now ? kNoTask : rows.Integer(0);
  };
  const TaskId deduped = TRY(holder(KeyKind::kDedupe, task.dedupe_key));
  if (deduped != kNoTask) return std::optional(Enqueued{deduped, Enqueued::As::kDeduped});
  const TaskId unique = TRY(holder(KeyKind::kUnique, task.unique_key));
  if (unique != kNoTask) return std::optional(Enqueued{unique, Enqueued::As::kUnique});
  return std::optional<Enqueued>();
}

Result<TaskId> Store::Insert(const NewTask& task, const Place& place, WallTime now) {
  TaskRow row;
  row.id = TRY(NextId());
  row.queue = TRY(QueueFor(task.queue));
  row.state = place.state;
  row.priority = task.priority;
  row.eta = std::max(task.eta, now);
  row.bytes = task.payload.size();
  TRY(statements_.add_task.Run(row.id,
                               row.queue,
                               static_cast<int>(row.state),
                               row.priority,
                               row.eta,
                               place.members,
                               IdIfAny(place.group),
                               IdIfAny(task.parent),
                               now,
                               task.expires,
                               task.retries,
                               task.timeout,
                               task.result_keep,
                               row.bytes,
                               BlobIfAny(task.unique_key),
                               BlobIfAny(task.dedupe_key),
                               task.name));
  TRY(statements_.add_payload.Run(row.id, Blob{task.payload}));
  TRY(PutKeys(task, row.id));
  CountIn(row);
  ++queues_.ToChange(row.queue).counts.enqueued_total;
  return row.id;
}

Status Store::PutKeys(const NewTask& task, TaskId id) {
  const auto put = [&](KeyKind kind, std::string_view key) {
    return key.empty() ? Done() : statements_.put_key.Run(static_cast<int>(kind), Blob{key}, id);
  };
  TRY(put(KeyKind::kUnique, task.unique_key));
  return put(KeyKind::kDedupe, task.dedupe_key);
}

Result<std::int64_t> Store::QueueFor(std::string_view name) {
  if (const Queue* const found = queues_.Find(name)) return found->id;
  const Queue& added = queues_.Add(name);
  TRY(statements_.add_queue.Run(added.id, name));
  return added.id;
}

Result<TaskId> Store::NextId() {
  if (ids_.next == ids_.reserved) {
    TRY(statements_.reserve_ids.Run(ids_.reserved + kIdBlock));
    ids_.reserved += kIdBlock;
  }
  return ids_.next++;
}

// --- groups

// Everything that could refuse one of them is asked before the first is written.
std::optional<Error> Store::WhyNoGroup(std::span<const NewTask> members,
                                       const NewTask& callback) const {
  struct Wanted {
    std::uint64_t tasks = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string_view, Wanted> wanted;
  const auto why_not = [&](const NewTask& task) -> std::optional<Error> {
    if (auto error = WhyNot(task)) return error;
    if (!task.unique_key.empty() || !task.dedupe_key.empty()) {
      return Refused("a task of a group has no unique and no dedupe key");
    }
    Wanted& of_queue = wanted[task.queue];
    ++of_queue.tasks;
    of_queue.bytes += task.payload.size();
    return std::nullopt;
  };
  if (members.empty()) return Refused("a group has at least one member");
  for (const NewTask& member : members) {
    if (auto error = why_not(member)) return error;
  }
  if (auto error = why_not(callback)) return error;
  std::uint64_t new_queues = 0;
  for (const auto& [queue, of_queue] : wanted) {
    if (auto error = WhyNoRoom(queue, of_queue.tasks, of_queue.bytes)) return error;
    if (queues_.Find(queue) == nullptr) ++new_queues;
  }
  if (queues_.size() + new_queues > limits_.queues_max) {
    return Full(fmt::format("with the queues of this group there are more than queues_max, {}",
                            limits_.queues_max));
  }
  return std::nullopt;
}

Result<Store::Group> Store::EnqueueGroup(std::span<const NewTask> members,
                                         const NewTask& callback,
                                         WallTime now) {
  CHECK(members.size() <= kBatchMax);
  if (auto error = WhyNoGroup(members, callback)) return std::move(*error);
  return Within(Durability::kDisk, [&]() -> Result<Group> {
    Group group;
    const auto count = static_cast<std::uint32_t>(members.size());
    group.callback = TRY(Insert(callback, {.state = State::kHeld, .members = count}, now));
    for (const NewTask& member : members) {
      group.members.push_back(TRY(Insert(member, {.group = group.callback}, now)));
    }
    return group;
  });
}

}  // namespace onebox::queue
