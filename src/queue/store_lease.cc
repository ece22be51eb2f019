// Leases: given in order, renewed, handed back, and taken back where they have passed.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "queue/store.h"

namespace onebox::queue {
namespace {

// Expired tasks that one Lease() ends on its way; the next call and Sweep() end the others.
constexpr std::uint32_t kExpiredMax = 256;

}  // namespace

Result<std::vector<Leased>> Store::Lease(std::string_view queue,
                                         const LeaseTerms& terms,
                                         WallTime now) {
  CHECK(terms.limit >= 1 && terms.limit <= kBatchMax);
  const Queue* const found = queues_.Find(queue);
  if (found == nullptr || found->paused == QueueFigures::Paused::kYes ||
      found->counts.waiting_all() == 0) {
    return std::vector<Leased>();  // asking in vain is frequent, and no transaction
  }
  return Within(Durability::kKernel,
                [&] { return LeaseFrom(queues_.ToChange(found->id), terms, now); });
}

Result<std::vector<Leased>> Store::LeaseFrom(Queue& queue, const LeaseTerms& terms, WallTime now) {
  std::vector<Leased> leased;
  std::uint32_t expired = 0;
  std::uint64_t bytes_left = terms.bytes_max;
  for (int priority = kPriorityMax; priority >= 0; --priority) {
    while (queue.counts.waiting[static_cast<std::size_t>(priority)] > 0) {
      const auto wanted = terms.limit - static_cast<std::uint32_t>(leased.size());
      if (wanted == 0 || bytes_left == 0 || expired >= kExpiredMax) return leased;
      auto due = TRY(FindDue(queue, priority, wanted, bytes_left, now));
      for (Leased& task : due) {
        if (task.expires && *task.expires <= now) {
          ++expired;
          const TaskRow row = TRY(Row(task.held.id));
          TRY(End(row, State::kExpired, now));
        } else {
          TRY(TakeLease(task, queue, terms, now));
          leased.push_back(std::move(task));
        }
      }
      if (due.size() < wanted && bytes_left > 0) break;  // no more of this priority
    }
  }
  return leased;
}

Result<std::vector<Leased>> Store::FindDue(const Queue& queue,
                                           int priority,
                                           std::uint32_t limit,
                                           std::uint64_t& bytes_left,
                                           WallTime now) {
  std::vector<Leased> due;
  Rows rows = statements_.find_due.Query(queue.id, priority, now, limit);
  while (bytes_left > 0 && TRY(rows.Next())) {
    Leased& task = due.emplace_back();
    task.held = {rows.Integer(0), rows.Integer(1)};
    task.name = rows.Bytes(2);
    task.payload = rows.Bytes(3);
    bytes_left -= std::min<std::uint64_t>(bytes_left, task.payload.size());
    task.priority = priority;
    task.eta = rows.Time(4);
    task.enqueued = rows.Time(5);
    task.expires = rows.TimeIfAny(6);
    task.attempt = static_cast<std::uint32_t>(rows.Integer(7));
    task.deaths = static_cast<std::uint32_t>(rows.Integer(8));
    task.retries = static_cast<std::uint32_t>(rows.Integer(9));
    task.timeout = Duration(rows.Integer(10));
    task.group = rows.Integer(11);
    task.parent = rows.Integer(12);
  }
  return due;
}

Status Store::TakeLease(Leased& task, Queue& queue, const LeaseTerms& terms, WallTime now) {
  TRY(statements_.lease.Run(task.held.id, terms.until, terms.holder, now));
  ++task.held.token;
  ++task.attempt;
  Counts& counts = queue.counts;
  --counts.waiting[static_cast<std::size_t>(task.priority)];
  if (task.eta <= counted_until_) --counts.due;
  ++counts.running;
  return Done();
}

Result<std::vector<Outcome>> Store::Renew(std::span<const Renewal> renewals) {
  return ForEach<Outcome>(
      Durability::kKernel, renewals, [&](const Renewal& renewal) { return RenewOne(renewal); });
}

Result<Outcome> Store::RenewOne(const Renewal& renewal) {
  const auto row = TRY(FindHeld(renewal.held));
  if (!row) return Outcome::kNotHeld;
  TRY(statements_.renew.Run(row->id, renewal.until, renewal.progress));
  return row->cancel == TaskRow::Cancel::kAsked ? Outcome::kCancelAsked : Outcome::kDone;
}

Result<std::vector<Outcome>> Store::Release(std::span<const Held> leases, WallTime now) {
  return ForEach<Outcome>(
      Durability::kKernel, leases, [&](const Held& held) { return ReleaseOne(held, now); });
}

Result<Outcome> Store::ReleaseOne(const Held& held, WallTime now) {
  auto row = TRY(FindHeld(held));
  if (!row) return Outcome::kNotHeld;
  if (row->cancel == TaskRow::Cancel::kAsked) {
    TRY(End(*row, State::kCancelled, now));
    return Outcome::kDone;
  }
  TRY(statements_.release.Run(row->id));
  CountOut(*row);
  row->state = State::kWaiting;
  CountIn(*row);
  return Outcome::kDone;
}

Result<std::vector<Outcome>> Store::ReturnOfDead(std::span<const Held> leases, WallTime now) {
  return ForEach<Outcome>(Durability::kKernel, leases, [&](const Held& held) -> Result<Outcome> {
    const auto row = TRY(FindHeld(held));
    if (!row) return Outcome::kNotHeld;
    TRY(Return(*row, Lost::kHolderDied, now));
    return Outcome::kDone;
  });
}

Result<std::uint32_t> Store::ReturnPassed(std::uint32_t limit, WallTime now) {
  CHECK(limit >= 1 && limit <= kBatchMax);
  return Within(Durability::kKernel, [&]() -> Result<std::uint32_t> {
    const auto passed = TRY(IntegersOf(statements_.find_passed_leases.Query(now, limit)));
    for (const TaskId id : passed) {
      const TaskRow row = TRY(Row(id));
      TRY(Return(row, Lost::kLeasePassed, now));
    }
    return static_cast<std::uint32_t>(passed.size());
  });
}

// Nobody has failed here, so the task's retries are not what ends it: that would lose a task because
// a worker was killed. What kills its workers, or never ends, is set aside all the same.
Status Store::Return(const TaskRow& row, Lost lost, WallTime now) {
  TaskRow returned = row;
  if (lost == Lost::kHolderDied) ++returned.deaths;
  if (row.cancel == TaskRow::Cancel::kAsked) return End(returned, State::kCancelled, now);
  const std::uint64_t attempts_max = std::uint64_t{row.retries} + 1 + limits_.deaths_max;
  std::string why;
  if (returned.deaths >= limits_.deaths_max && lost == Lost::kHolderDied) {
    why = fmt::format("poison: {} workers died while they ran it", returned.deaths);
  } else if (row.attempts >= attempts_max) {
    why =
        fmt::format("nobody ended it in {} attempts: leases passed, or workers died", row.attempts);
  }
  if (why.empty()) return WaitAgain(returned, row.eta);
  TRY(statements_.put_outcome.Run(row.id, Blob{why}));
  return End(returned, State::kDead, now);
}

// `row` is that of a running task, with its deaths as they shall be.
Status Store::WaitAgain(const TaskRow& row, WallTime eta) {
  TRY(statements_.wait_again.Run(row.id, eta, row.deaths));
  CountOut(row);
  TaskRow waiting = row;
  waiting.state = State::kWaiting;
  waiting.eta = eta;
  CountIn(waiting);
  return Done();
}

Result<std::optional<WallTime>> Store::NextLeaseEnd() {
  Rows rows = statements_.first_lease_end.Query();
  TRY(rows.Next());
  return rows.TimeIfAny(0);
}

}  // namespace onebox::queue
