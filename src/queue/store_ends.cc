// How tasks end, what follows from it, and when the last of them is removed.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "queue/store.h"

namespace onebox::queue {
namespace {

// A member's result is asked for when the last one is done: until then it is kept, so much at a time.
constexpr Duration kMemberKeep = std::chrono::minutes(10);

}  // namespace

// --- by whoever holds it

Result<std::vector<Acknowledged>> Store::Acknowledge(std::span<const Acknowledgement> done,
                                                     WallTime now) {
  return ForEach<Acknowledged>(Durability::kDisk, done, [&](const Acknowledgement& one) {
    return AcknowledgeOne(one, now);
  });
}

Result<Acknowledged> Store::AcknowledgeOne(const Acknowledgement& done, WallTime now) {
  CHECK(done.next.size() <= kBatchMax);
  Acknowledged acknowledged;
  const auto row = TRY(FindHeld(done.held));
  if (!row) {
    acknowledged.outcome = Outcome::kNotHeld;
    return acknowledged;
  }
  if (done.result.size() > limits_.result_bytes_max) {
    acknowledged.outcome = Outcome::kTooLarge;
    return acknowledged;
  }
  for (const NextTask& next : done.next) {
    if (!WhyNot(next.task)) continue;
    acknowledged.outcome = Outcome::kNextRefused;
    return acknowledged;
  }
  if (!done.result.empty() && row->result_keep > Duration(0)) {
    TRY(statements_.put_outcome.Run(row->id, Blob{done.result}));
  } else if (row->token > 1) {
    TRY(statements_.drop_outcome.Run(row->id));  // the traceback of an attempt before
  }
  TRY(EnqueueNext(done, row->group, now, acknowledged.next));
  TRY(End(*row, State::kDone, now));
  return acknowledged;
}

Status Store::EnqueueNext(const Acknowledgement& done,
                          TaskId group,
                          WallTime now,
                          std::vector<Enqueued>& next) {
  std::uint32_t inherited = 0;
  for (const NextTask& one : done.next) {
    const bool inherits = group != kNoTask && one.membership == NextTask::Membership::kInherited;
    const Admission admission =
        TRY(EnqueueOne(one.task, Limited::kNo, inherits ? group : kNoTask, now));
    next.push_back(admission.value());
    if (inherits && next.back().as == Enqueued::As::kNew) ++inherited;
  }
  if (inherited > 0) TRY(statements_.inherit_members.Run(group, inherited));
  return Done();
}

Result<std::vector<Outcome>> Store::Fail(std::span<const Failure> failures, WallTime now) {
  return ForEach<Outcome>(
      Durability::kDisk, failures, [&](const Failure& failure) { return FailOne(failure, now); });
}

// The end of a traceback says what has happened, its beginning only how it came there.
Result<Outcome> Store::FailOne(const Failure& failure, WallTime now) {
  const auto row = TRY(FindHeld(failure.held));
  if (!row) return Outcome::kNotHeld;
  std::string_view traceback = failure.traceback;
  traceback.remove_prefix(traceback.size() -
                          std::min<std::size_t>(traceback.size(), limits_.result_bytes_max));
  TRY(statements_.put_outcome.Run(row->id, Blob{traceback}));
  ++queues_.ToChange(row->queue).counts.failed_total;
  if (row->cancel == TaskRow::Cancel::kAsked) {
    TRY(End(*row, State::kCancelled, now));
  } else if (failure.retry_at) {
    TRY(WaitAgain(*row, std::max(*failure.retry_at, now)));
  } else {
    TRY(End(*row, State::kDead, now));
  }
  return Outcome::kDone;
}

// --- the end itself

// `row` is as the task was, but for its deaths. A dead letter keeps its payload: it may be retried.
Status Store::End(const TaskRow& row, State state, WallTime now) {
  CountOut(row);
  TaskRow ended = row;
  ended.state = state;
  CountIn(ended);
  Counts& counts = queues_.ToChange(row.queue).counts;
  if (state == State::kDone) counts.Done(now);
  if (state == State::kExpired) ++counts.expired_total;
  if (state == State::kCancelled) ++counts.cancelled_total;
  if (state == State::kDead) ++counts.dead_total;

  TRY(EndKeys(row, state, now));
  const Duration keep = state == State::kDead ? limits_.dead_keep : row.result_keep;
  if (state != State::kDead) TRY(statements_.drop_payload.Run(row.id));
  if (state != State::kDead && keep == Duration(0)) {
    TRY(Remove(row.id));
  } else {
    TRY(statements_.end_task.Run(row.id, static_cast<int>(state), now, now + keep, row.deaths));
  }
  if (row.group == kNoTask || state == State::kDead) return Done();
  return state == State::kDone ? MemberDone(row.group, now) : MemberLost(row.group, now);
}

Status Store::EndKeys(const TaskRow& row, State state, WallTime now) {
  if (row.state == State::kDead) return Done();  // it had given them up
  if (!row.unique_key.empty()) {
    TRY(statements_.drop_key.Run(static_cast<int>(KeyKind::kUnique), Blob{row.unique_key}));
  }
  if (row.dedupe_key.empty()) return Done();
  const int dedupe = static_cast<int>(KeyKind::kDedupe);
  if (state != State::kDone) return statements_.drop_key.Run(dedupe, Blob{row.dedupe_key});
  return statements_.keep_key.Run(dedupe, Blob{row.dedupe_key}, now + limits_.dedupe_keep);
}

Status Store::MemberDone(TaskId group, WallTime now) {
  {
    Rows rows = statements_.count_member.Query(group);
    const bool held = TRY(rows.Next());
    if (!held || rows.Integer(0) > 0) return Done();  // cancelled before, or others are left
  }
  const TaskRow callback = TRY(Row(group));
  return WaitAgain(callback, std::max(callback.eta, now));
}

Status Store::MemberLost(TaskId group, WallTime now) {
  const auto callback = TRY(Find(group));
  if (!callback || callback->state != State::kHeld) return Done();
  return End(*callback, State::kCancelled, now);
}

Status Store::Remove(TaskId id) {
  TRY(statements_.drop_outcome.Run(id));
  return statements_.drop_task.Run(id);
}

// --- what was kept long enough

Result<std::uint32_t> Store::Sweep(std::uint32_t limit, WallTime now) {
  CHECK(limit >= 1 && limit <= kBatchMax);
  return Within(Durability::kKernel, [&]() -> Result<std::uint32_t> {
    const auto expired = TRY(IntegersOf(statements_.find_expired.Query(now, limit)));
    for (const TaskId id : expired) {
      const TaskRow row = TRY(Row(id));
      TRY(End(row, State::kExpired, now));
    }
    auto swept = static_cast<std::uint32_t>(expired.size());
    if (swept == limit) return swept;
    const auto ended = TRY(IntegersOf(statements_.find_swept.Query(now, limit - swept)));
    for (const TaskId id : ended) {
      TRY(SweepTask(id, now));
    }
    swept += static_cast<std::uint32_t>(ended.size());
    if (swept == limit) return swept;
    return swept + TRY(SweepKeys(limit - swept, now));
  });
}

Status Store::SweepTask(TaskId id, WallTime now) {
  const TaskRow row = TRY(Row(id));
  if (row.group != kNoTask && row.state == State::kDone) {
    const auto callback = TRY(Find(row.group));
    if (callback && callback->state < kFirstEnded) {
      return statements_.keep_longer.Run(id, now + std::max(row.result_keep, kMemberKeep));
    }
  }
  if (row.state == State::kDead) {
    CountOut(row);
    TRY(statements_.drop_payload.Run(id));
    if (row.group != kNoTask) TRY(MemberLost(row.group, now));
  }
  return Remove(id);
}

Result<std::uint32_t> Store::SweepKeys(std::uint32_t limit, WallTime now) {
  std::vector<std::pair<std::int64_t, std::string>> passed;
  {
    Rows rows = statements_.find_swept_keys.Query(now, limit);
    while (TRY(rows.Next())) {
      passed.emplace_back(rows.Integer(0), rows.Bytes(1));
    }
  }
  for (const auto& [kind, key] : passed) {
    TRY(statements_.drop_key.Run(kind, Blob{key}));
  }
  return static_cast<std::uint32_t>(passed.size());
}

}  // namespace onebox::queue
