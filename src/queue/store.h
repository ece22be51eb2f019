#pragma once
// Store: the durable queue's tasks, leases, results and dead letters, in one file.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "queue/queues.h"
#include "queue/statements.h"
#include "queue/task.h"
#include "queue/task_row.h"
#include "sqlite/file.h"

namespace onebox::queue {

struct Limits {
  std::uint64_t tasks_max = 1'000'000;               // of one queue, held, waiting and running
  std::uint64_t bytes_max = std::uint64_t{1} << 30;  // their payloads
  std::uint64_t payload_bytes_max = 1 << 20;
  std::uint64_t result_bytes_max = 1 << 20;  // and of a traceback
  std::uint64_t queues_max = 256;
  std::uint64_t file_bytes_max = std::uint64_t{16} << 30;  // of the file itself
  std::uint64_t log_bytes = 16 << 20;                      // of the log beside it, or a little more
  std::uint32_t deaths_max = 3;  // a task whose worker died so often is a dead letter
  Duration dedupe_keep = std::chrono::hours(24 * 7);  // from its acknowledgement
  Duration dead_keep = std::chrono::hours(24 * 30);
};

// Belongs to one thread of one process; a second opener is refused. It has no clock: `now` is the
// caller's, and a lease is as good as it. A caller that adds the steady time since its start to the
// wall time of its start gives no lease away because somebody set the clock.
//
// An operation is done as a whole and then returns, or gives an Error and has done nothing: the disk
// is full, cannot be written, or another program is in the way. Trying again may help, and no Error
// stops the store from working once the cause is gone. (Where the wait for the disk itself failed and
// the process dies before its next change, the operation may yet be found done.)
//
// A batch is one transaction. What is said to somebody else is on the disk when the call returns: new
// tasks, ends, cancels. What only has to outlive this process is with the kernel then: leases,
// renewals, what is swept. After the machine has lost its power no holder lives, and a task whose lease
// is forgotten waits.
// See docs/decisions/0019-what-the-queue-writes.md.
//
// What takes a limit takes 1 to kBatchMax. Any bytes may come in a task's views; what does not fit
// is refused in its own place, and the rest of the batch goes on.
class Store final {
 public:
  static constexpr std::uint32_t kBatchMax = 10'000;
  // Ids are taken from the file in blocks, so that not each batch writes there.
  static constexpr TaskId kIdBlock = 4096;

  // Reads the whole file once, to see that it is not damaged; see queue/schema.h for what is refused.
  static Result<std::unique_ptr<Store>> Open(const std::string& path, const Limits& limits);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // --- one transaction for several operations

  // From here to CommitGroup() all operations are one transaction, which waits for the disk once.
  // What they return may be told to others when CommitGroup() has returned without an Error. Where one
  // of them gives an Error none of the group is done, and all that follow give that Error.
  Status BeginGroup();
  Status CommitGroup();

  // --- new tasks

  // For each its id, or the Error that says why not: a limit (Retry::kYes), or what is wrong in it.
  using Admission = Result<Enqueued>;
  Result<std::vector<Admission>> Enqueue(std::span<const NewTask> tasks, WallTime now);

  // All of them, or none: members, and a callback that is held until each of them is done. Without
  // unique and dedupe keys. What is refused, as in Enqueue(), is an Error that breaks no group of
  // operations. Where a member ends in another way than done, the callback is cancelled; a dead one
  // may yet be retried, so the callback stays held for it.
  struct Group {
    TaskId callback = kNoTask;
    std::vector<TaskId> members;  // in their order
  };
  Result<Group> EnqueueGroup(std::span<const NewTask> members,
                             const NewTask& callback,
                             WallTime now);

  // --- leases

  struct LeaseTerms {
    std::uint32_t limit = 1;
    WallTime until{};
    std::uint64_t bytes_max = 16 << 20;  // with the payload that reaches it no more are given
    std::int64_t holder = 0;             // for Running(): who has it
  };
  // By priority, then by ETA, then by id. None where the queue is paused, or not there. Those that it
  // finds expired are ended; where they are many, it may give fewer than there are.
  Result<std::vector<Leased>> Lease(std::string_view queue, const LeaseTerms& terms, WallTime now);
  Result<std::vector<Outcome>> Renew(std::span<const Renewal> renewals);
  // Only who holds a task ends it; all others get kNotHeld, whatever they have done.
  Result<std::vector<Acknowledged>> Acknowledge(std::span<const Acknowledgement> done,
                                                WallTime now);
  // Waits again, or is a dead letter. Cancelled where that was asked for.
  Result<std::vector<Outcome>> Fail(std::span<const Failure> failures, WallTime now);
  // Handed back untouched, to its old place: that was no attempt.
  Result<std::vector<Outcome>> Release(std::span<const Held> leases, WallTime now);
  // Their holder has died: as ReturnPassed(), at once, and counted as a death of each task.
  Result<std::vector<Outcome>> ReturnOfDead(std::span<const Held> leases, WallTime now);
  // Leases whose end has passed: their tasks wait again in their old places. A dead letter is one that
  // has had Limits::deaths_max deaths, or that many attempts more than its retries. Gives how many.
  Result<std::uint32_t> ReturnPassed(std::uint32_t limit, WallTime now);

  // --- what people do

  // Held, waiting, dead: cancelled. Running: kRunning, and its holder learns of it at the next renewal.
  Result<std::vector<Outcome>> Cancel(std::span<const TaskId> tasks, WallTime now);
  // Dead letters wait again, as if they were new.
  Result<std::vector<Outcome>> RetryDead(std::span<const TaskId> tasks, WallTime now);
  // Cancels up to `limit` of a queue's waiting tasks, or of its dead letters. Gives how many.
  Result<std::uint32_t> Purge(std::string_view queue, std::uint32_t limit, WallTime now);
  Result<std::uint32_t> PurgeDead(std::string_view queue, std::uint32_t limit, WallTime now);
  // A queue that is paused takes tasks and leases none. One that is not there is made.
  Status SetPaused(std::string_view queue, QueueFigures::Paused paused);

  // Ends what has expired, and removes results, dead letters and dedupe keys that were kept long
  // enough: up to `limit` in all. Gives how many; fewer than the limit: there are no more.
  Result<std::uint32_t> Sweep(std::uint32_t limit, WallTime now);

  // --- what people ask

  Result<std::optional<TaskStatus>> StatusOf(TaskId id);
  // Up to `limit` in the order of their ids, from the first after `after`. Members() have their whole
  // results; of other outcomes in a list there are the last 4 KiB.
  struct Page {
    TaskId after = kNoTask;
    std::uint32_t limit = 100;
  };
  Result<std::vector<TaskStatus>> DeadLetters(std::string_view queue, const Page& page);
  Result<std::vector<TaskStatus>> Members(TaskId callback, const Page& page);
  Result<std::vector<TaskStatus>> Running(const Page& page);
  // Costs one step in an index for each queue, and one for each task that has become due since it was
  // asked last. Not within a group.
  Result<std::vector<QueueFigures>> Figures(WallTime now);

  // When the first task that waits is due, in queues that are not paused; it may have passed.
  Result<std::optional<WallTime>> NextDue();
  Result<std::optional<WallTime>> NextLeaseEnd();

  // Counts the file, and ends the process where Figures() would say anything else. For tests: it reads
  // every task.
  void CheckInvariants();

 private:
  struct Ids {
    TaskId next = 1;
    TaskId reserved = 1;  // in the file: from here on none was given
  };
  enum class InGroup : unsigned char { kNo, kYes, kBroken };
  enum class Limited : unsigned char { kYes, kNo };
  enum class Lost : unsigned char { kLeasePassed, kHolderDied };

  struct Place {  // of a new task, beside what it says itself
    State state = State::kWaiting;
    TaskId group = kNoTask;
    std::uint32_t members = 0;
  };

  Store(const Limits& limits, sqlite::File file, Statements statements);

  // store.cc: the file, transactions, counts
  Status Load();
  Status Count(Queues& into);
  Status Enter(Durability durability);
  Status Leave();
  void Undo(const Error& error);
  // Runs `work` in the group's transaction, or in one of its own.
  template <typename Work>
  auto Within(Durability durability, const Work& work) -> decltype(work()) {
    TRY(Enter(durability));
    auto made = work();
    if (!made.ok()) {
      Undo(made.error());
      return made;
    }
    TRY(Leave());
    return made;
  }
  // What `work` makes of each of `items`, in one transaction.
  template <typename Made, typename Item, typename Work>
  Result<std::vector<Made>> ForEach(Durability durability,
                                    std::span<const Item> items,
                                    const Work& work) {
    CHECK(items.size() <= kBatchMax);
    return Within(durability, [&]() -> Result<std::vector<Made>> {
      std::vector<Made> made;
      made.reserve(items.size());
      for (const Item& item : items) {
        made.push_back(TRY(work(item)));
      }
      return made;
    });
  }
  Result<std::optional<TaskRow>> Find(TaskId id);
  Result<TaskRow> Row(TaskId id);  // of a task that an index or another row names
  Result<std::optional<TaskRow>> FindHeld(const Held& held);
  void CountIn(const TaskRow& row);
  void CountOut(const TaskRow& row);

  // store_enqueue.cc
  std::optional<Error> WhyNot(const NewTask& task) const;
  std::optional<Error> WhyNoQueue(std::string_view queue) const;
  std::optional<Error> WhyNoRoom(std::string_view queue,
                                 std::uint64_t tasks,
                                 std::uint64_t bytes) const;
  std::optional<Error> WhyNoGroup(std::span<const NewTask> members, const NewTask& callback) const;
  Result<Admission> EnqueueOne(const NewTask& task, Limited limited, TaskId group, WallTime now);
  Result<std::optional<Enqueued>> FindByKeys(const NewTask& task, WallTime now);
  Result<TaskId> Insert(const NewTask& task, const Place& place, WallTime now);
  Status PutKeys(const NewTask& task, TaskId id);
  Result<std::int64_t> QueueFor(std::string_view name);
  Result<TaskId> NextId();

  // store_lease.cc
  Result<std::vector<Leased>> LeaseFrom(Queue& queue, const LeaseTerms& terms, WallTime now);
  Result<std::vector<Leased>> FindDue(const Queue& queue,
                                      int priority,
                                      std::uint32_t limit,
                                      std::uint64_t& bytes_left,
                                      WallTime now);
  Status TakeLease(Leased& task, Queue& queue, const LeaseTerms& terms, WallTime now);
  Result<Outcome> RenewOne(const Renewal& renewal);
  Result<Outcome> ReleaseOne(const Held& held, WallTime now);
  Status Return(const TaskRow& row, Lost lost, WallTime now);
  Status WaitAgain(const TaskRow& row, WallTime eta);

  // store_ends.cc
  Result<Acknowledged> AcknowledgeOne(const Acknowledgement& done, WallTime now);
  Status EnqueueNext(const Acknowledgement& done,
                     TaskId group,
                     WallTime now,
                     std::vector<Enqueued>& next);
  Result<Outcome> FailOne(const Failure& failure, WallTime now);
  Status End(const TaskRow& row, State state, WallTime now);
  Status EndKeys(const TaskRow& row, State state, WallTime now);
  Status MemberDone(TaskId group, WallTime now);
  Status MemberLost(TaskId group, WallTime now);
  Status Remove(TaskId id);
  Status SweepTask(TaskId id, WallTime now);
  Result<std::uint32_t> SweepKeys(std::uint32_t limit, WallTime now);

  // store_people.cc
  Result<Outcome> CancelOne(TaskId id, WallTime now);
  Result<Outcome> RetryOne(TaskId id, WallTime now);
  Result<std::uint32_t> CancelAll(const std::vector<TaskId>& tasks, WallTime now);
  Status CountDue(WallTime now);
  Result<std::optional<WallTime>> FirstEta(const Queue& queue);

  const Limits limits_;
  os::Fd lock_;
  std::unique_ptr<Database> database_;
  Statements statements_;  // of the database, which outlives them
  Queues queues_;
  Ids ids_;
  Ids kept_ids_;
  WallTime counted_until_ = WallTime::min();  // ETAs up to here count as due
  InGroup group_ = InGroup::kNo;
  Error group_error_;
};

}  // namespace onebox::queue
