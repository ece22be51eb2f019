#include "queue/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/testing.h"

namespace onebox::queue {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Paused = QueueFigures::Paused;
using As = Enqueued::As;

class StoreTest : public testing::Test {
 protected:
  explicit StoreTest(const Limits& limits = {}) : limits_(limits) { Reopen(); }
  ~StoreTest() override {
    if (store_ != nullptr) store_->CheckInvariants();
  }

  void Reopen() {
    if (store_ != nullptr) store_->CheckInvariants();
    store_.reset();
    store_ = Store::Open(folder_.file(), limits_).value();
  }

  static NewTask Task(std::string_view payload) {
    return {.queue = "mail",
            .name = "app.send",
            .payload = payload,
            .retries = 3,
            .result_keep = hours(1)};
  }

  Store::Admission Try(const NewTask& task, WallTime now = At(0)) {
    return store_->Enqueue({&task, 1}, now).value().at(0);
  }
  TaskId Put(const NewTask& task, WallTime now = At(0)) { return Try(task, now).value().id; }

  std::vector<Leased> Take(std::uint32_t limit, WallTime now, Duration lease = seconds(60)) {
    return store_->Lease("mail", {.limit = limit, .until = now + lease, .holder = 7}, now).value();
  }
  Leased TakeOne(WallTime now) {
    auto leased = Take(1, now);
    CHECK(leased.size() == 1);
    return std::move(leased[0]);
  }
  std::vector<std::string> Payloads(WallTime now) {
    std::vector<std::string> payloads;
    for (const Leased& task : Take(100, now)) {
      payloads.push_back(task.payload);
    }
    return payloads;
  }

  Outcome Acknowledge(const Held& held, WallTime now, std::string_view result = "") {
    const Acknowledgement done{held, result, {}};
    return store_->Acknowledge({&done, 1}, now).value().at(0).outcome;
  }
  Outcome Fail(const Held& held, std::optional<WallTime> retry_at, WallTime now) {
    const Failure failure{held, "Traceback: it broke", retry_at};
    return store_->Fail({&failure, 1}, now).value().at(0);
  }
  Outcome Cancel(TaskId id, WallTime now = At(0)) {
    return store_->Cancel({&id, 1}, now).value().at(0);
  }
  Outcome Retry(TaskId id, WallTime now) { return store_->RetryDead({&id, 1}, now).value().at(0); }
  Outcome Release(const Held& held, WallTime now) {
    return store_->Release({&held, 1}, now).value().at(0);
  }
  Outcome HolderDied(const Held& held, WallTime now) {
    return store_->ReturnOfDead({&held, 1}, now).value().at(0);
  }
  Outcome Renew(const Held& held, WallTime until, std::optional<double> progress = {}) {
    const Renewal renewal{held, until, progress};
    return store_->Renew({&renewal, 1}).value().at(0);
  }

  TaskStatus Status(TaskId id) { return store_->StatusOf(id).value().value(); }
  State StateOf(TaskId id) { return Status(id).state; }
  QueueFigures Figures(WallTime now) { return store_->Figures(now).value().at(0); }

  TestFolder folder_;
  Limits limits_;
  std::unique_ptr<Store> store_;
};

// --- order

class Order : public StoreTest {};

TEST_F(Order, IsByPriorityThenEtaThenArrival) {
  const auto put = [&](std::string_view payload, int priority, WallTime eta, WallTime now) {
    NewTask task = Task(payload);
    task.priority = priority;
    task.eta = eta;
    Put(task, now);
  };
  put("third", 4, {}, At(1));
  put("fourth", 4, {}, At(1));
  put("last", 0, {}, At(0));
  put("fifth", 4, At(2), At(1));
  put("second", 9, At(2), At(1));
  put("first", 9, {}, At(1));
  put("not yet", 9, At(4), At(1));
  EXPECT_THAT(Payloads(At(3)), ElementsAre("first", "second", "third", "fourth", "fifth", "last"));
}

TEST_F(Order, GivesNothingBeforeItsEta) {
  NewTask task = Task("later");
  task.eta = At(10);
  Put(task);
  EXPECT_THAT(Take(10, At(10) - Duration(1)), IsEmpty());
  EXPECT_EQ(store_->NextDue().value(), At(10));
  EXPECT_EQ(Take(10, At(10)).size(), 1U);
  EXPECT_EQ(store_->NextDue().value(), std::nullopt);
}

TEST_F(Order, AnEtaInThePastDoesNotJumpTheQueue) {
  Put(Task("first"), At(0));
  NewTask task = Task("second");
  task.eta = At(-100);
  Put(task, At(1));
  EXPECT_THAT(Payloads(At(2)), ElementsAre("first", "second"));
}

TEST_F(Order, LeavesOtherQueuesAlone) {
  NewTask task = Task("other");
  task.queue = "bulk";
  Put(task);
  EXPECT_THAT(Take(10, At(1)), IsEmpty());
  EXPECT_EQ(store_->Lease("bulk", {.limit = 9, .until = At(9)}, At(1)).value().size(), 1U);
  EXPECT_THAT(store_->Lease("none", {.limit = 9, .until = At(9)}, At(1)).value(), IsEmpty());
}

TEST_F(Order, GivesNoMoreThanAsked) {
  for (int i = 0; i < 5; ++i) {
    Put(Task("x"));
  }
  EXPECT_EQ(Take(2, At(1)).size(), 2U);
  EXPECT_EQ(Take(100, At(1)).size(), 3U);
}

TEST_F(Order, GivesNoMoreBytesThanAsked) {
  for (int i = 0; i < 4; ++i) {
    Put(Task("12345678"));
  }
  const auto leased = store_->Lease("mail", {.limit = 9, .until = At(9), .bytes_max = 10}, At(1));
  EXPECT_EQ(leased.value().size(), 2U);
  EXPECT_EQ(Take(9, At(1)).size(), 2U);
}

// --- a task's way

class Way : public StoreTest {};

TEST_F(Way, EveryFieldComesBack) {
  NewTask task = Task(std::string_view("\0bytes\xff", 7));
  task.priority = 6;
  task.eta = At(5);
  task.expires = At(500);
  task.timeout = seconds(30);
  task.parent = 99;
  const TaskId id = Put(task);
  const Leased leased = TakeOne(At(6));
  EXPECT_EQ(leased.held.id, id);
  EXPECT_EQ(leased.name, "app.send");
  EXPECT_EQ(leased.payload, task.payload);
  EXPECT_EQ(leased.priority, 6);
  EXPECT_EQ(leased.eta, At(5));
  EXPECT_EQ(leased.enqueued, At(0));
  EXPECT_EQ(leased.expires, At(500));
  EXPECT_EQ(leased.attempt, 1U);
  EXPECT_EQ(leased.retries, 3U);
  EXPECT_EQ(leased.timeout, seconds(30));
  EXPECT_EQ(leased.parent, 99);
  const TaskStatus status = Status(id);
  EXPECT_EQ(status.state, State::kRunning);
  EXPECT_EQ(status.queue, "mail");
  EXPECT_EQ(status.begun, At(6));
  EXPECT_EQ(status.lease_end, At(66));
  EXPECT_EQ(status.holder, 7);
}

TEST_F(Way, ADoneTaskGivesItsResultUntilItIsSwept) {
  const TaskId id = Put(Task("x"));
  EXPECT_EQ(Acknowledge(TakeOne(At(1)).held, At(2), "42"), Outcome::kDone);
  Reopen();
  EXPECT_EQ(StateOf(id), State::kDone);
  EXPECT_EQ(Status(id).outcome, "42");
  EXPECT_EQ(Status(id).ended, At(2));
  EXPECT_EQ(store_->Sweep(10, At(2) + hours(1) - Duration(1)).value(), 0U);
  EXPECT_EQ(store_->Sweep(10, At(2) + hours(1)).value(), 1U);
  EXPECT_FALSE(store_->StatusOf(id).value().has_value());
}

TEST_F(Way, ATaskWhoseResultNobodyWantsIsGoneAtItsEnd) {
  NewTask task = Task("x");
  task.result_keep = Duration(0);
  const TaskId id = Put(task);
  EXPECT_EQ(Acknowledge(TakeOne(At(1)).held, At(2), "42"), Outcome::kDone);
  EXPECT_FALSE(store_->StatusOf(id).value().has_value());
}

TEST_F(Way, AFailedTaskWaitsForItsRetryAndKeepsTheTraceback) {
  const TaskId id = Put(Task("x"));
  EXPECT_EQ(Fail(TakeOne(At(1)).held, At(10), At(2)), Outcome::kDone);
  EXPECT_EQ(StateOf(id), State::kWaiting);
  EXPECT_EQ(Status(id).outcome, "Traceback: it broke");
  EXPECT_THAT(Take(1, At(9)), IsEmpty());
  const Leased again = TakeOne(At(10));
  EXPECT_EQ(again.attempt, 2U);
  EXPECT_EQ(Acknowledge(again.held, At(11)), Outcome::kDone);
  EXPECT_EQ(Status(id).outcome, "") << "that of a result, which is empty";
}

TEST_F(Way, AReleasedTaskHasHadNoAttemptAndItsOldPlace) {
  const TaskId first = Put(Task("first"));
  Put(Task("second"));
  const Leased leased = TakeOne(At(1));
  EXPECT_EQ(Release(leased.held, At(2)), Outcome::kDone);
  const Leased again = TakeOne(At(3));
  EXPECT_EQ(again.held.id, first);
  EXPECT_EQ(again.attempt, 1U);
  EXPECT_EQ(Acknowledge(leased.held, At(4)), Outcome::kNotHeld) << "it gave it back";
}

TEST_F(Way, ExpiredTasksAreNotLeasedAndAreCounted) {
  NewTask task = Task("x");
  task.expires = At(10);
  const TaskId id = Put(task);
  const TaskId other = Put(task);
  EXPECT_EQ(Take(1, At(9)).size(), 1U) << "its time has not passed";
  EXPECT_THAT(Take(1, At(10)), IsEmpty());
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(StateOf(other), State::kExpired);
  EXPECT_EQ(Figures(At(10)).expired_total, 1U);
}

TEST_F(Way, ExpiredTasksInAPausedQueueAreSwept) {
  NewTask task = Task("x");
  task.expires = At(10);
  const TaskId id = Put(task);
  ASSERT_TRUE(store_->SetPaused("mail", Paused::kYes).ok());
  EXPECT_EQ(store_->Sweep(10, At(10)).value(), 1U);
  EXPECT_EQ(StateOf(id), State::kExpired);
}

TEST_F(Way, ManyExpiredOnesDoNotHideTheOthers) {
  NewTask task = Task("old");
  task.expires = At(1);
  const std::vector<NewTask> old(600, task);
  ASSERT_TRUE(store_->Enqueue(old, At(0)).ok());
  Put(Task("good"));
  std::vector<std::string> payloads;
  for (int i = 0; i < 3 && payloads.empty(); ++i) {
    payloads = Payloads(At(2));
  }
  EXPECT_THAT(payloads, ElementsAre("good"));
}

TEST_F(Way, IdsAreNeverUsedTwice) {
  NewTask task = Task("x");
  task.result_keep = Duration(0);
  const TaskId first = Put(task);
  ASSERT_EQ(Acknowledge(TakeOne(At(1)).held, At(1)), Outcome::kDone);
  Reopen();
  EXPECT_GT(Put(task), first);
}

// --- leases

class Leases : public StoreTest {};

TEST_F(Leases, OnlyTheHolderOfTheLastOneEndsATask) {
  const TaskId id = Put(Task("x"));
  const Leased late = TakeOne(At(0));
  EXPECT_EQ(store_->NextLeaseEnd().value(), At(60));
  EXPECT_EQ(store_->ReturnPassed(10, At(60) - Duration(1)).value(), 0U);
  EXPECT_EQ(store_->ReturnPassed(10, At(60)).value(), 1U);
  EXPECT_EQ(Acknowledge(late.held, At(61)), Outcome::kNotHeld) << "nobody has it";
  const Leased next = TakeOne(At(61));
  EXPECT_EQ(next.attempt, 2U);
  EXPECT_EQ(Acknowledge(late.held, At(62)), Outcome::kNotHeld) << "another has it";
  EXPECT_EQ(Fail(late.held, At(70), At(62)), Outcome::kNotHeld);
  EXPECT_EQ(Release(late.held, At(62)), Outcome::kNotHeld);
  EXPECT_EQ(Renew(late.held, At(100)), Outcome::kNotHeld);
  EXPECT_EQ(HolderDied(late.held, At(62)), Outcome::kNotHeld);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Acknowledge(next.held, At(63)), Outcome::kDone);
  EXPECT_EQ(Acknowledge(next.held, At(64)), Outcome::kNotHeld) << "twice";
  EXPECT_EQ(Figures(At(64)).done_total, 1U);
}

TEST_F(Leases, ARenewedOneDoesNotPass) {
  Put(Task("x"));
  const Leased leased = TakeOne(At(0));
  EXPECT_EQ(Renew(leased.held, At(200), 0.4), Outcome::kDone);
  EXPECT_EQ(store_->ReturnPassed(10, At(100)).value(), 0U);
  EXPECT_EQ(Status(leased.held.id).progress, 0.4);
  EXPECT_EQ(Renew(leased.held, At(300)), Outcome::kDone);
  EXPECT_EQ(Status(leased.held.id).progress, 0.4);
  EXPECT_EQ(store_->NextLeaseEnd().value(), At(300));
}

TEST_F(Leases, OutliveTheProcess) {
  Put(Task("x"));
  const Leased leased = TakeOne(At(0));
  Reopen();
  EXPECT_THAT(Take(10, At(1)), IsEmpty()) << "its worker still runs it";
  const auto running = store_->Running({.limit = 10}).value();
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].holder, 7);
  EXPECT_EQ(running[0].token, leased.held.token);
  EXPECT_EQ(Acknowledge(leased.held, At(2)), Outcome::kDone);
}

TEST_F(Leases, ATaskThatKillsItsWorkersIsSetAside) {
  const TaskId id = Put(Task("poison"));
  for (std::uint32_t death = 1; death <= limits_.deaths_max; ++death) {
    const Leased leased = TakeOne(At(death));
    EXPECT_EQ(leased.deaths, death - 1);
    EXPECT_EQ(HolderDied(leased.held, At(death)), Outcome::kDone);
  }
  EXPECT_EQ(StateOf(id), State::kDead);
  EXPECT_THAT(Status(id).outcome, HasSubstr("poison: 3 workers died"));
  EXPECT_EQ(Status(id).deaths, 3U);
  EXPECT_THAT(Take(1, At(9)), IsEmpty());
}

TEST_F(Leases, ATaskThatNobodyEndsIsNotTriedForEver) {
  NewTask task = Task("x");
  task.retries = 1;
  const TaskId id = Put(task);
  WallTime now = At(0);
  std::uint32_t attempts = 0;
  while (StateOf(id) != State::kDead) {
    ASSERT_EQ(Take(1, now).size(), 1U);
    ++attempts;
    now += seconds(60);
    ASSERT_EQ(store_->ReturnPassed(1, now).value(), 1U);
  }
  EXPECT_EQ(attempts, 1 + 1 + limits_.deaths_max);
  EXPECT_THAT(Status(id).outcome, HasSubstr("nobody ended it in 5 attempts"));
}

TEST_F(Leases, ADeathCostsNoRetry) {
  NewTask task = Task("x");
  task.retries = 0;
  const TaskId id = Put(task);
  EXPECT_EQ(HolderDied(TakeOne(At(1)).held, At(1)), Outcome::kDone);
  EXPECT_EQ(StateOf(id), State::kWaiting);
}

TEST_F(Leases, OnlyAsManyAreReturnedAsAskedFor) {
  for (int i = 0; i < 5; ++i) {
    Put(Task("x"));
  }
  ASSERT_EQ(Take(5, At(0)).size(), 5U);
  EXPECT_EQ(store_->ReturnPassed(2, At(100)).value(), 2U);
  EXPECT_EQ(store_->ReturnPassed(10, At(100)).value(), 3U);
}

// --- keys

class Keys : public StoreTest {};

TEST_F(Keys, AUniqueTaskIsThereOnceWhileItWaitsOrRuns) {
  NewTask task = Task("x");
  task.unique_key = "report";
  const auto twice = store_->Enqueue(std::vector<NewTask>{task, task}, At(0)).value();
  const TaskId id = twice[0].value().id;
  EXPECT_EQ(twice[0].value().as, As::kNew);
  EXPECT_EQ(twice[1].value().as, As::kUnique);
  EXPECT_EQ(twice[1].value().id, id);
  const Leased leased = TakeOne(At(1));
  EXPECT_EQ(Try(task).value().id, id);
  EXPECT_EQ(Fail(leased.held, At(5), At(2)), Outcome::kDone);
  EXPECT_EQ(Try(task).value().id, id) << "it waits for its retry";
  EXPECT_EQ(Acknowledge(TakeOne(At(5)).held, At(6)), Outcome::kDone);
  EXPECT_EQ(Try(task).value().as, As::kNew);
}

TEST_F(Keys, ATaskIsDoneOnceWithItsDedupeKey) {
  NewTask task = Task("mint");
  task.dedupe_key = "purchase 17";
  task.result_keep = seconds(1);
  const TaskId id = Put(task);
  EXPECT_EQ(Try(task).value().as, As::kDeduped) << "it waits";
  EXPECT_EQ(Acknowledge(TakeOne(At(1)).held, At(2)), Outcome::kDone);
  EXPECT_EQ(store_->Sweep(10, At(10)).value(), 1U) << "its result";
  Reopen();
  EXPECT_EQ(Try(task, At(11)).value().id, id);
  EXPECT_EQ(Try(task, At(11)).value().as, As::kDeduped);
  const WallTime kept = At(2) + limits_.dedupe_keep;
  EXPECT_EQ(Try(task, kept - Duration(1)).value().as, As::kDeduped);
  EXPECT_EQ(Try(task, kept).value().as, As::kNew) << "though nobody has swept it";
}

TEST_F(Keys, OldDedupeKeysAreSwept) {
  NewTask task = Task("mint");
  task.dedupe_key = "purchase 17";
  task.result_keep = Duration(0);
  Put(task);
  ASSERT_EQ(Acknowledge(TakeOne(At(1)).held, At(2)), Outcome::kDone);
  EXPECT_EQ(store_->Sweep(10, At(2) + limits_.dedupe_keep - Duration(1)).value(), 0U);
  EXPECT_EQ(store_->Sweep(10, At(2) + limits_.dedupe_keep).value(), 1U);
}

TEST_F(Keys, ATaskThatWasNotDoneGivesItsKeysBack) {
  NewTask task = Task("x");
  task.unique_key = "one";
  task.dedupe_key = "two";
  const TaskId dead = Put(task);
  EXPECT_EQ(Fail(TakeOne(At(1)).held, std::nullopt, At(2)), Outcome::kDone);
  const Enqueued other = Try(task).value();
  EXPECT_EQ(other.as, As::kNew);
  EXPECT_EQ(Retry(dead, At(3)), Outcome::kKeyTaken);
  EXPECT_EQ(Cancel(other.id), Outcome::kDone);
  EXPECT_EQ(Retry(dead, At(3)), Outcome::kDone);
  EXPECT_EQ(Try(task).value().id, dead);
  EXPECT_EQ(Try(task).value().as, As::kDeduped);
}

TEST_F(Keys, OfTwoKindsAreNotTheSame) {
  NewTask task = Task("x");
  task.unique_key = "one";
  Put(task);
  NewTask other = Task("x");
  other.dedupe_key = "one";
  EXPECT_EQ(Try(other).value().as, As::kNew);
}

TEST_F(Keys, ADeadLettersEndLeavesTheKeyOfAnother) {
  NewTask task = Task("x");
  task.unique_key = "one";
  const TaskId dead = Put(task);
  ASSERT_EQ(Fail(TakeOne(At(1)).held, std::nullopt, At(2)), Outcome::kDone);
  const TaskId other = Put(task);
  EXPECT_EQ(Cancel(dead), Outcome::kDone);
  EXPECT_EQ(Try(task).value().id, other);
}

// --- chains and groups

class Groups : public StoreTest {
 protected:
  Store::Group PutGroup(std::uint32_t members) {
    const std::vector<NewTask> tasks(members, Task("member"));
    return store_->EnqueueGroup(tasks, Task("callback"), At(0)).value();
  }
};

TEST_F(Groups, TheNextOfAChainIsThereWhenTheFirstIsDone) {
  Put(Task("first"));
  const Leased first = TakeOne(At(1));
  NewTask second = Task("second");
  second.parent = first.held.id;
  const NextTask next{second};
  const Acknowledgement done{first.held, "", {&next, 1}};
  const auto acknowledged = store_->Acknowledge({&done, 1}, At(2)).value();
  ASSERT_EQ(acknowledged[0].next.size(), 1U);
  EXPECT_EQ(acknowledged[0].next[0].as, As::kNew);
  const auto again = store_->Acknowledge({&done, 1}, At(2)).value();
  EXPECT_EQ(again[0].outcome, Outcome::kNotHeld);
  EXPECT_THAT(again[0].next, IsEmpty());
  EXPECT_THAT(Payloads(At(3)), ElementsAre("second"));
}

TEST_F(Groups, ANextTaskThatIsRefusedLeavesTheFirstHeld) {
  Put(Task("first"));
  const Leased first = TakeOne(At(1));
  NewTask second = Task("second");
  second.queue = "";
  const NextTask next{second};
  const Acknowledgement done{first.held, "", {&next, 1}};
  EXPECT_EQ(store_->Acknowledge({&done, 1}, At(2)).value()[0].outcome, Outcome::kNextRefused);
  EXPECT_EQ(StateOf(first.held.id), State::kRunning);
}

TEST_F(Groups, TheCallbackRunsWhenTheLastMemberIsDone) {
  const Store::Group group = PutGroup(3);
  EXPECT_EQ(Status(group.callback).members_left, 3U);
  const auto members = Take(10, At(1));
  ASSERT_EQ(members.size(), 3U) << "the callback is held";
  EXPECT_EQ(members[0].group, group.callback);
  EXPECT_EQ(Acknowledge(members[2].held, At(2), "c"), Outcome::kDone);
  EXPECT_EQ(Acknowledge(members[0].held, At(3), "a"), Outcome::kDone);
  EXPECT_THAT(Take(1, At(4)), IsEmpty());
  Reopen();
  EXPECT_EQ(Acknowledge(members[1].held, At(5), "b"), Outcome::kDone);
  const Leased callback = TakeOne(At(5));
  EXPECT_EQ(callback.held.id, group.callback);
  std::string results;
  const auto listed = store_->Members(group.callback, {.limit = 10}).value();
  for (const TaskStatus& member : listed) {
    results += member.outcome;
  }
  EXPECT_EQ(results, "abc");
}

TEST_F(Groups, ResultsOfMembersAreKeptForTheCallback) {
  const Store::Group group = PutGroup(2);
  const auto members = Take(10, At(1));
  ASSERT_EQ(Acknowledge(members[0].held, At(2), "a"), Outcome::kDone);
  (void)store_->Sweep(10, At(2) + hours(2)).value();
  EXPECT_EQ(Status(group.members[0]).outcome, "a");
  ASSERT_EQ(Cancel(group.callback), Outcome::kDone);
  (void)store_->Sweep(10, At(2) + hours(4)).value();
  EXPECT_FALSE(store_->StatusOf(group.members[0]).value().has_value());
}

TEST_F(Groups, AMemberThatIsNotDoneCancelsTheCallback) {
  const Store::Group group = PutGroup(2);
  EXPECT_EQ(Cancel(group.members[0]), Outcome::kDone);
  EXPECT_EQ(StateOf(group.callback), State::kCancelled);
  EXPECT_EQ(Acknowledge(TakeOne(At(1)).held, At(2)), Outcome::kDone) << "the other goes on";
  EXPECT_EQ(StateOf(group.callback), State::kCancelled);
}

TEST_F(Groups, ADeadMemberMayYetBeRetried) {
  const Store::Group group = PutGroup(1);
  EXPECT_EQ(Fail(TakeOne(At(1)).held, std::nullopt, At(2)), Outcome::kDone);
  EXPECT_EQ(StateOf(group.callback), State::kHeld);
  EXPECT_EQ(Retry(group.members[0], At(3)), Outcome::kDone);
  EXPECT_EQ(Acknowledge(TakeOne(At(3)).held, At(4)), Outcome::kDone);
  EXPECT_EQ(StateOf(group.callback), State::kWaiting);
}

TEST_F(Groups, ADeadMemberThatIsSweptCancelsTheCallback) {
  const Store::Group group = PutGroup(1);
  EXPECT_EQ(Fail(TakeOne(At(1)).held, std::nullopt, At(2)), Outcome::kDone);
  EXPECT_EQ(store_->Sweep(10, At(2) + limits_.dead_keep).value(), 1U);
  EXPECT_EQ(StateOf(group.callback), State::kCancelled);
}

TEST_F(Groups, AChainInAGroupIsOneMember) {
  const Store::Group group = PutGroup(1);
  const Leased first = TakeOne(At(1));
  const NextTask next{Task("second"), NextTask::Membership::kInherited};
  const Acknowledgement done{first.held, "", {&next, 1}};
  ASSERT_TRUE(store_->Acknowledge({&done, 1}, At(2)).ok());
  EXPECT_EQ(StateOf(group.callback), State::kHeld);
  EXPECT_EQ(Status(group.callback).members_left, 1U);
  EXPECT_EQ(Acknowledge(TakeOne(At(3)).held, At(3)), Outcome::kDone);
  EXPECT_EQ(StateOf(group.callback), State::kWaiting);
}

TEST_F(Groups, AreRefusedAsAWhole) {
  std::vector<NewTask> members(2, Task("member"));
  members[1].priority = 10;
  EXPECT_FALSE(store_->EnqueueGroup(members, Task("callback"), At(0)).ok());
  members[1] = Task("member");
  members[1].unique_key = "one";
  EXPECT_FALSE(store_->EnqueueGroup(members, Task("callback"), At(0)).ok());
  EXPECT_FALSE(store_->EnqueueGroup({}, Task("callback"), At(0)).ok());
  EXPECT_THAT(store_->Figures(At(1)).value(), IsEmpty());
}

// --- what people do

class People : public StoreTest {};

TEST_F(People, CancelWhatWaits) {
  const TaskId id = Put(Task("x"));
  EXPECT_EQ(Cancel(id), Outcome::kDone);
  EXPECT_EQ(Cancel(id), Outcome::kEnded);
  EXPECT_EQ(Cancel(12345), Outcome::kUnknown);
  EXPECT_EQ(StateOf(id), State::kCancelled);
  EXPECT_THAT(Take(1, At(1)), IsEmpty());
}

TEST_F(People, CancelWhatRunsThroughItsHolder) {
  const struct {
    const char* why;
    std::function<void(const Held&)> end;
    State state;
  } cases[] = {
      {"it fails", [&](const Held& held) { Fail(held, At(3), At(2)); }, State::kCancelled},
      {"it fails for good", [&](const Held& held) { Fail(held, {}, At(2)); }, State::kCancelled},
      {"it is handed back", [&](const Held& held) { Release(held, At(2)); }, State::kCancelled},
      {"its holder dies", [&](const Held& held) { HolderDied(held, At(2)); }, State::kCancelled},
      {"its lease passes",
       [&](const Held&) { ASSERT_TRUE(store_->ReturnPassed(9, At(99)).ok()); },
       State::kCancelled},
      {"it was done first", [&](const Held& held) { Acknowledge(held, At(2)); }, State::kDone},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const TaskId id = Put(Task("x"));
    const Leased leased = TakeOne(At(1));
    EXPECT_EQ(Cancel(id), Outcome::kRunning);
    EXPECT_EQ(Renew(leased.held, At(90)), Outcome::kCancelAsked);
    c.end(leased.held);
    EXPECT_EQ(StateOf(id), c.state);
  }
}

TEST_F(People, SeeAndRetryDeadLetters) {
  const TaskId first = Put(Task("first"));
  const TaskId second = Put(Task("second"));
  for (const Leased& leased : Take(2, At(1))) {
    ASSERT_EQ(Fail(leased.held, std::nullopt, At(2)), Outcome::kDone);
  }
  Reopen();
  const auto page = store_->DeadLetters("mail", {.limit = 1}).value();
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].id, first);
  EXPECT_EQ(page[0].outcome, "Traceback: it broke");
  EXPECT_EQ(store_->DeadLetters("mail", {.after = first, .limit = 9}).value().at(0).id, second);
  EXPECT_EQ(Figures(At(3)).dead, 2U);
  EXPECT_EQ(Retry(first, At(3)), Outcome::kDone);
  EXPECT_EQ(Retry(first, At(3)), Outcome::kEnded) << "it waits";
  const Leased again = TakeOne(At(3));
  EXPECT_EQ(again.payload, "first");
  EXPECT_EQ(again.attempt, 1U);
}

TEST_F(People, SeeTheEndOfALongTracebackInAList) {
  const TaskId id = Put(Task("x"));
  const std::string traceback = std::string(5000, 't') + "the end";
  const Failure failure{TakeOne(At(1)).held, traceback, std::nullopt};
  ASSERT_TRUE(store_->Fail({&failure, 1}, At(2)).ok());
  const auto page = store_->DeadLetters("mail", {.limit = 1}).value();
  EXPECT_EQ(page.at(0).outcome, traceback.substr(traceback.size() - 4096));
  EXPECT_EQ(Status(id).outcome, traceback);
}

TEST_F(People, PurgeInSteps) {
  const std::vector<NewTask> tasks(5, Task("x"));
  ASSERT_TRUE(store_->Enqueue(tasks, At(0)).ok());
  const auto held = Take(2, At(1));
  ASSERT_EQ(Fail(held[0].held, std::nullopt, At(1)), Outcome::kDone);
  EXPECT_EQ(store_->Purge("mail", 2, At(2)).value(), 2U);
  EXPECT_EQ(store_->Purge("mail", 2, At(2)).value(), 1U);
  EXPECT_EQ(store_->PurgeDead("mail", 2, At(2)).value(), 1U);
  EXPECT_EQ(store_->Purge("none", 2, At(2)).value(), 0U);
  const QueueFigures figures = Figures(At(2));
  EXPECT_EQ(figures.waiting, 0U);
  EXPECT_EQ(figures.dead, 0U);
  EXPECT_EQ(figures.running, 1U) << "it is not purged";
  EXPECT_EQ(figures.cancelled_total, 4U);
}

TEST_F(People, PauseAQueue) {
  Put(Task("x"));
  ASSERT_TRUE(store_->SetPaused("mail", Paused::kYes).ok());
  Reopen();
  EXPECT_THAT(Take(1, At(1)), IsEmpty());
  EXPECT_EQ(store_->NextDue().value(), std::nullopt);
  EXPECT_EQ(Figures(At(1)).paused, Paused::kYes);
  Put(Task("y"));
  ASSERT_TRUE(store_->SetPaused("mail", Paused::kNo).ok());
  EXPECT_EQ(Take(9, At(1)).size(), 2U);
}

TEST_F(People, PauseAQueueBeforeItsFirstTask) {
  ASSERT_TRUE(store_->SetPaused("mail", Paused::kYes).ok());
  Put(Task("x"));
  EXPECT_THAT(Take(1, At(1)), IsEmpty());
  EXPECT_FALSE(store_->SetPaused("", Paused::kYes).ok());
}

// --- figures

class FiguresOf : public StoreTest {};

TEST_F(FiguresOf, AQueueFollowItsTasks) {
  NewTask later = Task("12345");
  later.eta = At(100);
  Put(Task("123"), At(0));
  Put(Task("123"), At(5));
  Put(later, At(5));
  QueueFigures figures = Figures(At(10));
  EXPECT_EQ(figures.waiting, 3U);
  EXPECT_EQ(figures.due, 2U);
  EXPECT_EQ(figures.oldest, seconds(10));
  EXPECT_EQ(figures.bytes, 11U);
  EXPECT_EQ(figures.enqueued_total, 3U);
  const Leased first = TakeOne(At(10));
  figures = Figures(At(100));
  EXPECT_EQ(figures.running, 1U);
  EXPECT_EQ(figures.waiting, 2U);
  EXPECT_EQ(figures.due, 2U);
  EXPECT_EQ(figures.oldest, seconds(95));
  ASSERT_EQ(Acknowledge(first.held, At(101)), Outcome::kDone);
  figures = Figures(At(101));
  EXPECT_EQ(figures.running, 0U);
  EXPECT_EQ(figures.bytes, 8U);
  EXPECT_EQ(figures.done_total, 1U);
}

TEST_F(FiguresOf, TheLastMinuteSlideIntoTheNext) {
  const WallTime minute = At(0) - At(0).time_since_epoch() % std::chrono::minutes(1);
  const std::vector<NewTask> tasks(4, Task("x"));
  ASSERT_TRUE(store_->Enqueue(tasks, minute).ok());
  for (const Leased& leased : Take(4, minute)) {
    ASSERT_EQ(Acknowledge(leased.held, minute + seconds(1)), Outcome::kDone);
  }
  EXPECT_DOUBLE_EQ(Figures(minute + seconds(2)).done_per_minute, 4);
  EXPECT_DOUBLE_EQ(Figures(minute + seconds(90)).done_per_minute, 2);
  EXPECT_DOUBLE_EQ(Figures(minute + seconds(120)).done_per_minute, 0);
}

// --- limits

class SmallStore : public StoreTest {
 protected:
  SmallStore()
      : StoreTest({.tasks_max = 2,
                   .bytes_max = 10,
                   .payload_bytes_max = 8,
                   .result_bytes_max = 8,
                   .queues_max = 2}) {}
};

TEST_F(SmallStore, RefusesWhatDoesNotFitAndSaysWhy) {
  NewTask unnamed = Task("x");
  unnamed.name = "";
  NewTask high = Task("x");
  high.priority = 10;
  NewTask long_key = Task("x");
  const std::string key(256, 'k');
  long_key.unique_key = key;
  NewTask kept = Task("x");
  kept.result_keep = Duration::max();
  const struct {
    NewTask task;
    const char* why;
  } cases[] = {{unnamed, "name of a queue or task"},
               {high, "a priority is 0 to 9"},
               {long_key, "key is up to 255 bytes"},
               {kept, "ten years"},
               {Task("123456789"), "payload_bytes_max, 8"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto refused = Try(c.task);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr(c.why));
    EXPECT_EQ(refused.error().retry, onebox::Retry::kNever);
  }
}

TEST_F(SmallStore, RefusesMoreTasksThanAQueueMayHave) {
  const auto admissions =
      store_->Enqueue(std::vector<NewTask>{Task("1"), Task("2"), Task("3")}, At(0)).value();
  EXPECT_TRUE(admissions[0].ok() && admissions[1].ok());
  ASSERT_FALSE(admissions[2].ok());
  EXPECT_THAT(admissions[2].error().message, HasSubstr("queue mail is full: it has 2 tasks"));
  EXPECT_EQ(admissions[2].error().retry, onebox::Retry::kYes);
  const Leased leased = TakeOne(At(1));
  EXPECT_FALSE(Try(Task("3")).ok()) << "one that runs counts";
  ASSERT_EQ(Acknowledge(leased.held, At(1)), Outcome::kDone);
  EXPECT_TRUE(Try(Task("3")).ok());
}

TEST_F(SmallStore, RefusesMoreBytesThanAQueueMayHave) {
  Put(Task("12345678"));
  const auto refused = Try(Task("123"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("its payloads have 8 bytes, bytes_max is 10"));
  EXPECT_TRUE(Try(Task("12")).ok());
}

TEST_F(SmallStore, RefusesMoreQueuesThanItMayHave) {
  for (const char* const name : {"a", "b"}) {
    NewTask task = Task("x");
    task.queue = name;
    EXPECT_TRUE(Try(task).ok());
  }
  EXPECT_FALSE(Try(Task("x")).ok());
  EXPECT_FALSE(store_->SetPaused("c", Paused::kYes).ok());
}

TEST_F(SmallStore, RefusesAGroupThatDoesNotFitAndWritesNoneOfIt) {
  const std::vector<NewTask> members(2, Task("m"));
  const auto refused = store_->EnqueueGroup(members, Task("c"), At(0));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("tasks_max is 2"));
  EXPECT_TRUE(store_->EnqueueGroup({members.data(), 1}, Task("c"), At(0)).ok());
}

TEST_F(SmallStore, LetsTheNextOfAChainInAboveItsLimits) {
  Put(Task("1"));
  Put(Task("2"));
  const Leased leased = TakeOne(At(1));
  const NextTask next[] = {{Task("3")}, {Task("4")}};
  const Acknowledgement done{leased.held, "", next};
  EXPECT_EQ(store_->Acknowledge({&done, 1}, At(2)).value()[0].next.size(), 2U);
  EXPECT_TRUE(store_->SetPaused("mail", Paused::kYes).ok()) << "though it is more than full";
}

TEST_F(SmallStore, RefusesALargeResultAndKeepsTheLease) {
  Put(Task("x"));
  const Leased leased = TakeOne(At(1));
  EXPECT_EQ(Acknowledge(leased.held, At(2), "123456789"), Outcome::kTooLarge);
  EXPECT_EQ(Acknowledge(leased.held, At(2), "12345678"), Outcome::kDone);
}

TEST_F(SmallStore, KeepsTheEndOfALongTraceback) {
  const TaskId id = Put(Task("x"));
  const Failure failure{TakeOne(At(1)).held, "Traceback: the end", std::nullopt};
  ASSERT_TRUE(store_->Fail({&failure, 1}, At(2)).ok());
  EXPECT_EQ(Status(id).outcome, " the end");
}

// --- one transaction for several operations

class OneTransaction : public StoreTest {};

TEST_F(OneTransaction, IsThereAsAWholeOrNotAtAll) {
  const TaskId before = Put(Task("before"));
  ASSERT_TRUE(store_->BeginGroup().ok());
  Put(Task("in it"));
  ASSERT_EQ(Cancel(before), Outcome::kDone);
  TestFolder crashed;
  CopyStore(folder_.file(), crashed.file());
  ASSERT_TRUE(store_->CommitGroup().ok());
  EXPECT_EQ(Figures(At(1)).waiting, 1U);
  EXPECT_EQ(StateOf(before), State::kCancelled);

  const auto other = Store::Open(crashed.file(), limits_).value();
  EXPECT_EQ(other->Figures(At(1)).value().at(0).waiting, 1U);
  EXPECT_EQ(other->StatusOf(before).value()->state, State::kWaiting);
}

TEST_F(OneTransaction, IsUndoneWhereNobodyCommitsIt) {
  ASSERT_TRUE(store_->BeginGroup().ok());
  Put(Task("x"));
  store_.reset();
  Reopen();
  EXPECT_THAT(store_->Figures(At(1)).value(), IsEmpty());
}

}  // namespace
}  // namespace onebox::queue
