// Which firings a box's jobs give out, and what their history says of the others.
#include "schedule/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/jobs_testing.h"

namespace onebox::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const WallTime kStart = Utc("2026-01-05 00:00:30");
WallTime At(int minute, int second = 0) {
  return Utc("2026-01-05 00:00") + minutes(minute) + seconds(second);
}

// --- one firing

TEST(Jobs, FireFromTheirDeclarationOn) {
  TestBox box;
  EXPECT_THAT(box.Declare({Job("a", "1 minute")}, kStart), IsEmpty());
  EXPECT_EQ(box.jobs().NextDue(), At(1));
  EXPECT_THAT(box.Take(At(0, 59)), IsEmpty());
  const auto due = box.Take(At(1));
  ASSERT_THAT(TestBox::TimesOf(due), ElementsAre("00:01:00"));
  EXPECT_EQ(due[0].job->what, "app:work");
  EXPECT_EQ(due[0].key, "job:a:1767571260");
  EXPECT_FALSE(due[0].manual);
}

TEST(Jobs, GiveOutAFiringOnceUntilItIsRefused) {
  TestBox box;
  box.Declare({Job("a", "1 hour")}, kStart);
  const auto due = box.Take(At(60));
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_THAT(box.Take(At(61)), IsEmpty());
  EXPECT_EQ(box.jobs().NextDue(), At(120)) << "nothing to do for it until somebody says something";

  WallTime now = At(61);
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    ASSERT_TRUE(box.jobs().Refused(due[0].fence, now).ok());
    EXPECT_EQ(box.jobs().NextDue(), now + seconds(wait));
    EXPECT_THAT(box.Take(now + seconds(wait) - Duration(1)), IsEmpty());
    now += seconds(wait);
    const auto again = box.Take(now);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].key, due[0].key);
    EXPECT_EQ(again[0].fence, due[0].fence);
  }
  box.Enqueue(due);
  EXPECT_THAT(box.History(), ElementsAre("waiting 1 01:00:00"));
}

TEST(Jobs, LeaveToAnotherWhatHasBegunByThen) {
  TestBox box;
  box.Declare({Job("a", "1 minute"), Job("b", "1 hour")}, kStart);
  ASSERT_TRUE(box.jobs().LeaveToAnother(At(3), 100).ok());
  EXPECT_EQ(box.jobs().NextDue(), At(4));
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(4))), ElementsAre("00:04:00"));
  EXPECT_EQ(box.jobs().NextDue(), At(5));
}

TEST(Jobs, GiveOutNoMoreThanIsAskedFor) {
  TestBox box;
  std::vector<JobSpec> jobs;
  for (int i = 0; i < 10; ++i) {
    jobs.push_back(Job("job " + std::to_string(i), "1 minute"));
  }
  box.Declare(jobs, kStart);
  std::size_t taken = 0;
  for (int i = 0; i < 4; ++i) {
    EXPECT_LE(box.jobs().NextDue(), At(1));
    const auto due = box.jobs().TakeDue(At(1), 3).value();
    EXPECT_LE(due.size(), 3U);
    taken += due.size();
  }
  EXPECT_EQ(taken, 10U);
  EXPECT_EQ(box.jobs().NextDue(), At(2));
}

TEST(Jobs, BeginTheirFiringsWithinTheJitter) {
  TestBox box;
  JobSpec spec = Job("a", "1 hour");
  spec.jitter = minutes(10);
  spec.catch_up = {.which = CatchUp::kNone};
  box.Declare({spec}, kStart);
  const WallTime begin = box.jobs().NextDue().value();
  EXPECT_GT(begin, At(61)) << "so that it would be late, if its jitter made it so";
  EXPECT_LT(begin, At(70));
  EXPECT_EQ(box.StatusOf("a").next, begin);
  EXPECT_THAT(box.Take(begin - Duration(1)), IsEmpty());
  const auto due = box.Take(begin + seconds(59));
  EXPECT_THAT(TestBox::TimesOf(due), ElementsAre("01:00:00"));
  box.End(box.Enqueue(due)[0], begin + seconds(59));
  // The third has come and has not begun: it is neither given out nor missed.
  const WallTime third = At(180) + Duration(1);
  EXPECT_THAT(box.Take(third), IsEmpty());
  EXPECT_THAT(box.History(), ElementsAre("missed 1 02:00:00", "done 1 01:00:00"));
  EXPECT_GT(box.jobs().NextDue().value(), third);
}

// --- while a run has not ended

TEST(Overlap, SkipPassesOverAndTellsSo) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kSkip)}, kStart);
  const RunId run = box.Run(At(1))[0];
  for (int minute = 2; minute <= 5; ++minute) {
    EXPECT_THAT(box.Take(At(minute)), IsEmpty());
  }
  EXPECT_THAT(box.History(), ElementsAre("skipped 4 00:02:00-00:05:00", "waiting 1 00:01:00"));
  EXPECT_EQ(box.StatusOf("a").skipped_total, 4U);
  box.End(run, At(5, 30));
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(6))), ElementsAre("00:06:00"));
}

TEST(Overlap, SkipPassesOverWhatComesWhileOneIsBeingEnqueued) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kSkip)}, kStart);
  const auto due = box.Take(At(1));
  EXPECT_THAT(box.Take(At(2)), IsEmpty());
  box.Enqueue(due);
  EXPECT_THAT(box.History(), ElementsAre("waiting 1 00:01:00", "skipped 1 00:02:00"));
}

TEST(Overlap, QueueRunsThemOneAfterTheOther) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kQueue)}, kStart);
  RunId run = box.Run(At(1))[0];
  EXPECT_THAT(box.Take(At(2)), IsEmpty());
  EXPECT_THAT(box.Take(At(3)), IsEmpty());
  EXPECT_EQ(box.StatusOf("a").pending, 2U);
  box.Reopen();
  EXPECT_THAT(box.Take(At(3, 1)), IsEmpty());
  for (const char* const time : {"00:02:00", "00:03:00"}) {
    box.End(run, At(3, 30));
    EXPECT_LE(box.jobs().NextDue(), At(3, 30)) << "at once";
    const auto due = box.Take(At(3, 30));
    ASSERT_THAT(TestBox::TimesOf(due), ElementsAre(time));
    run = box.Enqueue(due)[0];
  }
}

TEST(Overlap, QueueHasALimitAndTellsWhatIsBeyond) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kQueue)}, kStart);
  const RunId run = box.Run(At(1))[0];
  for (int minute = 2; minute <= 104; ++minute) {
    EXPECT_THAT(box.Take(At(minute)), IsEmpty());
  }
  EXPECT_EQ(box.StatusOf("a").pending, 100U);
  EXPECT_THAT(box.History(), ElementsAre("missed 3 01:42:00-01:44:00", "waiting 1 00:01:00"));
  box.End(run, At(104, 30));
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(104, 30))), ElementsAre("00:02:00"));
}

TEST(Overlap, ReplaceNamesTheRunThatMakesWay) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kReplace)}, kStart);
  const RunId run = box.Run(At(1))[0];
  const auto due = box.Take(At(2));
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_THAT(due[0].replaces, ElementsAre(run));
  box.End(run, At(2), RunState::kCancelled);
  const RunId second = box.Enqueue(due)[0];
  EXPECT_THAT(box.Take(At(3)).at(0).replaces, ElementsAre(second));
}

TEST(Overlap, ReplaceMakesWayForTheNewestAlone) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kReplace)}, kStart);
  const auto due = box.Take(At(1));
  ASSERT_TRUE(box.jobs().Refused(due[0].fence, At(1)).ok());
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(2))), ElementsAre("00:02:00"));
  EXPECT_THAT(box.History(), ElementsAre("skipped 1 00:01:00"));
}

TEST(Overlap, ParallelRunsThemAllUpToALimit) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kParallel)}, kStart);
  for (int minute = 1; minute <= 101; ++minute) {
    const auto due = box.Take(At(minute));
    ASSERT_THAT(due, SizeIs(1));
    EXPECT_THAT(due[0].replaces, IsEmpty());
    box.Enqueue(due);
  }
  EXPECT_THAT(box.Take(At(102)), IsEmpty());
  EXPECT_EQ(box.History().front(), "missed 1 01:42:00");
  EXPECT_EQ(box.StatusOf("a").waiting, 101U);
}

// --- what was missed

TEST(CatchUp, OneRunsTheNewestAndTellsTheOthers) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(10, 30))), ElementsAre("00:10:00"));
  EXPECT_THAT(box.History(), ElementsAre("missed 9 00:01:00-00:09:00"));
  EXPECT_EQ(box.StatusOf("a").missed_total, 9U);
}

TEST(CatchUp, AllRunsThemOneAfterTheOther) {
  TestBox box;
  JobSpec spec = Job("a", "1 minute", Overlap::kSkip);
  spec.catch_up = {.which = CatchUp::kAll, .all_max = 3};
  box.Declare({spec}, kStart);
  for (const char* const time : {"00:03:00", "00:04:00", "00:05:00"}) {
    const auto due = box.Take(At(5, 30));
    ASSERT_THAT(TestBox::TimesOf(due), ElementsAre(time));
    box.End(box.Enqueue(due)[0], At(5, 30));
  }
  EXPECT_THAT(box.Take(At(5, 30)), IsEmpty());
  EXPECT_EQ(box.History().back(), "missed 2 00:01:00-00:02:00");
}

TEST(CatchUp, AllRunsThemAtOnceWhereTheyMayOverlap) {
  TestBox box;
  JobSpec spec = Job("a", "1 minute", Overlap::kParallel);
  spec.catch_up = {.which = CatchUp::kAll};
  box.Declare({spec}, kStart);
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(3, 30))),
              ElementsAre("00:01:00", "00:02:00", "00:03:00"));
}

TEST(CatchUp, NoneTellsThemAll) {
  TestBox box;
  JobSpec spec = Job("a", "1 hour");
  spec.catch_up = {.which = CatchUp::kNone};
  box.Declare({spec}, kStart);
  EXPECT_THAT(box.Take(At(121)), IsEmpty());
  EXPECT_THAT(box.History(), ElementsAre("missed 2 01:00:00-02:00:00"));
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(180, 59))), ElementsAre("03:00:00"));
}

// --- clocks

TEST(Clock, ThatIsChangedFiresHalfPastTwoOnceADay) {
  TestBox box;
  JobSpec spec = Job("a", "");
  spec.kind = TriggerKind::kCron;
  spec.text = "30 2 * * *";
  spec.zone = "Europe/Berlin";
  box.Declare({spec}, Utc("2026-03-28 00:00"));
  const Zone zone = Zone::Find("Europe/Berlin").value();
  std::vector<std::string> shown;
  for (const auto& [from, to] : {std::pair(Utc("2026-03-28 00:00"), Utc("2026-03-30 12:00")),
                                 std::pair(Utc("2026-10-24 00:00"), Utc("2026-10-26 12:00"))}) {
    for (WallTime now = from; now <= to; now += minutes(10)) {
      for (const Firing& firing : box.Take(now)) {
        if (now - firing.time < minutes(10)) shown.push_back(Shown(zone, firing.time));
        box.End(box.Enqueue({firing})[0], now);
      }
    }
  }
  EXPECT_THAT(shown,
              ElementsAre("2026-03-28 02:30:00 +0100",
                          "2026-03-29 03:00:00 +0200",
                          "2026-03-30 02:30:00 +0200",
                          "2026-10-24 02:30:00 +0200",
                          "2026-10-25 02:30:00 +0200",
                          "2026-10-26 02:30:00 +0100"));
}

TEST(Clock, ThatIsPutBackFiresNothingTwice) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  box.End(box.Run(At(10))[0], At(10));
  box.Reopen();
  for (int minute = 0; minute <= 10; ++minute) {
    EXPECT_THAT(box.Take(At(minute)), IsEmpty());
  }
  EXPECT_EQ(box.jobs().NextDue(), At(11));
}

TEST(Clock, ThatIsPutForwardIsCaughtUpWith) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  box.Reopen();
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(24 * 60))), ElementsAre("00:00:00"));
  EXPECT_EQ(box.StatusOf("a").missed_total, 24U * 60 - 1);
}

TEST(Clock, ThatWasYearsAheadIsForgottenWhereTheJobIsResumed) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart + hours(24 * 3660));
  box.Reopen();
  EXPECT_GT(box.jobs().NextDue(), kStart + hours(24 * 3650));
  ASSERT_TRUE(box.jobs().Resume("a", kStart).ok());
  EXPECT_EQ(box.jobs().NextDue(), At(1));
}

// --- declaring

TEST(Declare, TakesTheGoodAndSaysWhatIsWrongWithTheOthers) {
  TestBox box;
  JobSpec jitter = Job("jitter", "1 minute");
  jitter.jitter = hours(25);
  JobSpec many = Job("many", "1 minute");
  many.catch_up.all_max = 101;
  const auto refused = box.Declare({Job("good", "1 minute"),
                                    Job("bad", "5 minutse"),
                                    Job("", "1 minute"),
                                    Job(std::string(201, 'n'), "1 minute"),
                                    Job("a\nb", "1 minute"),
                                    Job("good", "2 minutes"),
                                    jitter,
                                    many},
                                   kStart);
  std::vector<std::string> errors;
  for (const auto& one : refused) {
    errors.push_back(one.error);
  }
  EXPECT_THAT(errors,
              ElementsAre(HasSubstr("minutse"),
                          HasSubstr("1 to 200 bytes"),
                          HasSubstr("this one 201"),
                          HasSubstr("no control characters"),
                          "another job has its name",
                          HasSubstr("jitter"),
                          HasSubstr("1 to 100")));
  EXPECT_EQ(refused[0].job, "bad");
  EXPECT_THAT(box.jobs().List("", 10).value(), SizeIs(1));
  EXPECT_EQ(box.StatusOf("good").job->text, "1 minute");
}

TEST(Declare, AnewChangesNothingWhereNothingHasChanged) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  box.Declare({Job("a", "1 minute")}, At(5, 30));
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(5, 30))), ElementsAre("00:05:00")) << "not forgotten";
}

TEST(Declare, AnotherTriggerKeepsTheHistoryAndStartsAfresh) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  const RunId run = box.Run(At(1))[0];
  box.Declare({Job("a", "2 minutes")}, At(9, 30));
  EXPECT_EQ(box.jobs().NextDue(), At(10));
  EXPECT_THAT(box.History("a"), ElementsAre("waiting 1 00:01:00"));
  box.Reopen();
  EXPECT_EQ(box.jobs().NextDue(), At(10));
  EXPECT_THAT(box.jobs().RunsLeft(), ElementsAre(run));
}

TEST(Declare, AnotherOverlapKeepsWhatIsDue) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  box.Declare({Job("a", "1 minute", Overlap::kParallel)}, At(9, 30));
  box.Reopen();
  EXPECT_EQ(box.StatusOf("a").job->overlap, Overlap::kParallel);
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(9, 30))), ElementsAre("00:09:00"));
}

TEST(Declare, WithAMistakeLeavesTheJobAsItWas) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  EXPECT_THAT(box.Declare({Job("a", "1 minuet")}, At(0, 40)), SizeIs(1));
  EXPECT_EQ(box.jobs().NextDue(), At(1));
}

TEST(Declare, RemovesWhatTheSameSourceDoesNotNameAnyMore) {
  TestBox box;
  box.Declare({Job("a", "1 minute"), Job("b", "1 minute")}, kStart);
  box.Declare({Job("c", "1 minute")}, kStart, Source::kConfig);
  box.Declare({Job("b", "1 minute")}, kStart);
  std::vector<std::string> names;
  for (const Firing& firing : box.Take(At(1))) {
    names.push_back(firing.job->name);
  }
  EXPECT_THAT(names, UnorderedElementsAre("b", "c"));
  EXPECT_FALSE(box.jobs().RunNow("a", At(1)).ok());
}

TEST(Declare, OfAnOlderGenerationIsPassedOver) {
  TestBox box;
  const std::vector<JobSpec> newer = {Job("new", "1 minute")};
  const std::vector<JobSpec> older = {Job("old", "1 minute")};
  Jobs& jobs = box.jobs();
  EXPECT_FALSE(jobs.Declare(Source::kApp, 2, newer, kStart).value().older);
  EXPECT_TRUE(jobs.Declare(Source::kApp, 1, older, kStart).value().older);
  EXPECT_EQ(box.StatusOf("new").job->name, "new");
  EXPECT_THAT(jobs.List("", 10).value(), SizeIs(1));
  EXPECT_FALSE(jobs.Declare(Source::kConfig, 1, older, kStart).value().older) << "its own count";
  box.Reopen();
  EXPECT_FALSE(box.jobs().Declare(Source::kApp, 1, older, kStart).value().older)
      << "a box counts from 1 again";
}

TEST(Declare, GivesANameThatBothHaveToTheConfiguration) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  EXPECT_THAT(box.Declare({Job("a", "2 minutes")}, kStart, Source::kConfig), IsEmpty());
  const auto refused = box.Declare({Job("a", "1 minute")}, kStart);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_THAT(refused[0].error, HasSubstr("the configuration has a job of that name"));
  EXPECT_EQ(box.StatusOf("a").job->text, "2 minutes");
  box.Declare({}, kStart, Source::kConfig);
  EXPECT_THAT(box.Declare({Job("a", "1 minute")}, kStart), IsEmpty());
}

TEST(Declare, TakesNoMoreJobsThanTheLimit) {
  TestBox box({.jobs_max = 2});
  const auto refused =
      box.Declare({Job("a", "1 minute"), Job("b", "1 minute"), Job("c", "1 minute")}, kStart);
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].job, "c");
  EXPECT_THAT(refused[0].error, HasSubstr("there are 2 jobs"));
}

TEST(Declare, OfARemovedJobAgainFindsItsHistoryAndItsRun) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  const RunId run = box.Run(At(1))[0];
  box.Declare({}, At(2));
  EXPECT_EQ(box.jobs().NextDue(), std::nullopt);
  box.Declare({Job("a", "1 minute")}, At(4, 30));
  EXPECT_THAT(box.Take(At(5)), IsEmpty()) << "the run of before has not ended";
  box.End(run, At(5));
  EXPECT_THAT(box.History("a"), ElementsAre("skipped 1 00:05:00", "done 1 00:01:00"));
}

TEST(Declare, ARemovedJobGivesOutWhatWasGivenOut) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  const auto due = box.Take(At(1));
  box.queue().Enqueue(due[0].key);
  box.Declare({}, At(1));
  box.Kill();
  box.Enqueue(box.Take(At(1)));
  EXPECT_THAT(box.jobs().RunsLeft(), SizeIs(1)) << "it is in the queue, so it is in the history";
  EXPECT_THAT(box.queue().tasks(), ElementsAre(testing::Pair(due[0].key, 1)));
}

// --- runs

TEST(Runs, AreToldFromTheirFirstBeginToTheirEnd) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  const RunId run = box.Run(At(1))[0];
  Jobs& jobs = box.jobs();
  ASSERT_TRUE(jobs.Begun(run, 3, At(1, 5)).ok());
  EXPECT_EQ(box.StatusOf("a").running, 1U);
  ASSERT_TRUE(jobs.Begun(run, 4, At(1, 20)).ok());
  ASSERT_TRUE(jobs.Ended(run, RunState::kFailed, "Traceback: boom", At(1, 30)).ok());
  ASSERT_TRUE(jobs.Ended(run, RunState::kDone, "", At(1, 40)).ok()) << "said twice: passed over";
  ASSERT_TRUE(jobs.Begun(run, 5, At(1, 50)).ok());
  const auto history = jobs.History("a", 10).value();
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_EQ(history[0].state, RunState::kFailed);
  EXPECT_EQ(history[0].begun, At(1, 5));
  EXPECT_EQ(history[0].ended, At(1, 30));
  EXPECT_EQ(history[0].attempts, 2U);
  EXPECT_EQ(history[0].worker, 4);
  EXPECT_EQ(history[0].run, run);
  EXPECT_EQ(history[0].traceback, "Traceback: boom");
  EXPECT_EQ(box.StatusOf("a").last->state, RunState::kFailed);
  EXPECT_THAT(jobs.RunsLeft(), IsEmpty());
}

TEST(Runs, ThatAreNotKnownArePassedOver) {
  TestBox box;
  EXPECT_TRUE(box.jobs().Begun(77, 1, kStart).ok());
  EXPECT_TRUE(box.jobs().Ended(77, RunState::kDone, "", kStart).ok());
  const Jobs::Confirmation confirmed{99, 77};
  EXPECT_TRUE(box.jobs().Enqueued({&confirmed, 1}).ok());
  EXPECT_TRUE(box.jobs().Refused(99, kStart).ok());
  EXPECT_THAT(box.History(), IsEmpty());
}

TEST(Runs, HaveFencesThatGrowOverAllStarts) {
  TestBox box;
  box.Declare({Job("a", "1 minute"), Job("b", "1 minute")}, kStart);
  std::int64_t fence = 0;
  for (int minute = 1; minute < 5; ++minute) {
    for (const Firing& firing : box.Take(At(minute))) {
      EXPECT_GT(firing.fence, fence);
      fence = firing.fence;
      box.End(box.Enqueue({firing})[0], At(minute));
    }
    box.Reopen();
  }
  EXPECT_GT(fence, 7);
}

TEST(History, KeepsTheNewestLinesOfEachJob) {
  TestBox box({.history_max = 10});
  box.Declare({Job("a", "1 minute"), Job("b", "1 hour")}, kStart);
  for (int minute = 1; minute <= 61; ++minute) {
    for (const RunId run : box.Run(At(minute))) {
      box.End(run, At(minute));
    }
  }
  const auto lines = box.History("a");
  EXPECT_THAT(lines, SizeIs(10));
  EXPECT_EQ(lines.front(), "done 1 01:01:00");
  EXPECT_EQ(lines.back(), "done 1 00:52:00");
  EXPECT_THAT(box.History("b"), ElementsAre("done 1 01:00:00"));
  EXPECT_THAT(box.History(), SizeIs(11));
  EXPECT_THAT(box.jobs().History("a", 3).value(), SizeIs(3));
  EXPECT_THAT(box.jobs().History("c", 3).error().message, HasSubstr("there is no job \"c\""));
}

TEST(History, KeepsTheEndsOfTheNewestTracebacks) {
  TestBox box({.tracebacks_max = 2, .traceback_bytes_max = 13});
  box.Declare({Job("a", "1 minute")}, kStart);
  const std::string traceback = "a long way down to the e\xC3\xA9nd of it all";
  for (int minute = 1; minute <= 4; ++minute) {
    const RunId run = box.Run(At(minute))[0];
    ASSERT_TRUE(box.jobs().Ended(run, RunState::kFailed, traceback, At(minute)).ok());
  }
  std::vector<std::string> kept;
  const auto history = box.jobs().History("a", 10).value();
  for (const JobRun& run : history) {
    kept.push_back(run.traceback);
  }
  EXPECT_THAT(kept, ElementsAre("nd of it all", "nd of it all", "", ""));
}

TEST(History, OfARemovedJobIsSweptInPieces) {
  TestBox box({.removed_keep = hours(1)});
  box.Declare({Job("a", "1 minute"), Job("b", "1 minute")}, kStart);
  for (int minute = 1; minute <= 10; ++minute) {
    for (const RunId run : box.Run(At(minute))) {
      box.End(run, At(minute));
    }
  }
  box.Declare({Job("b", "1 minute")}, At(11));
  EXPECT_EQ(box.jobs().Sweep(3, At(70)).value(), 0U);
  EXPECT_THAT(box.History(), SizeIs(20));
  box.Reopen();
  EXPECT_EQ(box.jobs().Sweep(3, At(71)).value(), 3U);
  EXPECT_EQ(box.jobs().Sweep(100, At(71)).value(), 7U);
  EXPECT_EQ(box.jobs().Sweep(100, At(71)).value(), 0U);
  EXPECT_THAT(box.History(), SizeIs(10));
  box.Declare({Job("a", "1 minute"), Job("b", "1 minute")}, At(72));
  EXPECT_THAT(box.History("a"), IsEmpty());
}

TEST(History, BeyondALimitThatWasLoweredIsSwept) {
  TestBox before;
  before.Declare({Job("a", "1 minute")}, kStart);
  for (int minute = 1; minute <= 50; ++minute) {
    before.End(before.Run(At(minute))[0], At(minute));
  }
  const std::string path = before.folder().path() / "lower.db";
  sqlite::CopyStore(before.path(), path);
  const auto jobs = Jobs::Open(path, {.history_max = 10}).value();
  EXPECT_EQ(jobs->Sweep(30, At(50)).value(), 30U);
  EXPECT_EQ(jobs->Sweep(30, At(50)).value(), 10U);
  EXPECT_EQ(jobs->Sweep(30, At(50)).value(), 0U);
  EXPECT_THAT(jobs->History("a", 100).value(), SizeIs(10));
}

// --- by hand

TEST(ByHand, AJobRunsOnceMore) {
  TestBox box;
  box.Declare({Job("a", "1 hour")}, kStart);
  const Firing firing = box.jobs().RunNow("a", At(7)).value();
  EXPECT_TRUE(firing.manual);
  EXPECT_EQ(firing.key, "run:a:1767571620:1");
  EXPECT_EQ(firing.time, At(7));
  const auto again = box.jobs().RunNow("a", At(7));
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.error().message, HasSubstr("the job \"a\" waits or runs"));
  box.End(box.Enqueue({firing})[0], At(8));
  EXPECT_TRUE(box.jobs().History("a", 1).value()[0].manual);
  EXPECT_EQ(box.jobs().NextDue(), At(60)) << "its own firings are as before";
}

TEST(ByHand, AJobThatMayOverlapRunsTwiceInOneMoment) {
  TestBox box;
  box.Declare({Job("a", "1 hour", Overlap::kParallel)}, kStart);
  const Firing one = box.jobs().RunNow("a", At(7)).value();
  const Firing two = box.jobs().RunNow("a", At(7)).value();
  EXPECT_NE(one.key, two.key);
}

TEST(ByHand, ARunThatTheQueueRefusesIsDropped) {
  TestBox box;
  box.Declare({Job("a", "1 hour")}, kStart);
  const Firing firing = box.jobs().RunNow("a", At(7)).value();
  ASSERT_TRUE(box.jobs().Refused(firing.fence, At(7)).ok());
  box.Reopen();
  EXPECT_THAT(box.Take(At(30)), IsEmpty());
}

TEST(ByHand, APausedJobFiresNotAndCatchesUp) {
  TestBox box;
  box.Declare({Job("a", "1 minute")}, kStart);
  ASSERT_TRUE(box.jobs().Pause("a", kStart).ok());
  EXPECT_EQ(box.jobs().NextDue(), std::nullopt);
  box.Reopen();
  EXPECT_TRUE(box.StatusOf("a").paused);
  EXPECT_THAT(box.Take(At(5)), IsEmpty());
  box.End(box.Enqueue({box.jobs().RunNow("a", At(5)).value()})[0], At(5));
  ASSERT_TRUE(box.jobs().Resume("a", At(5, 30)).ok());
  EXPECT_THAT(TestBox::TimesOf(box.Take(At(5, 30))), ElementsAre("00:05:00"));
  EXPECT_EQ(box.StatusOf("a").missed_total, 4U);
}

TEST(ByHand, APausedJobSkipsWhatWaitsForItsRun) {
  TestBox box;
  box.Declare({Job("a", "1 minute", Overlap::kQueue)}, kStart);
  const RunId run = box.Run(At(1))[0];
  EXPECT_THAT(box.Take(At(2)), IsEmpty());
  ASSERT_TRUE(box.jobs().Pause("a", At(2)).ok());
  box.End(run, At(3));
  EXPECT_THAT(box.Take(At(4)), IsEmpty());
  EXPECT_THAT(box.History(), ElementsAre("skipped 1 00:02:00", "done 1 00:01:00"));
}

TEST(ByHand, AJobThatIsNotThereIsAnError) {
  TestBox box;
  EXPECT_FALSE(box.jobs().Pause("x", kStart).ok());
  EXPECT_FALSE(box.jobs().Resume("x", kStart).ok());
  EXPECT_FALSE(box.jobs().RunNow("x", kStart).ok());
}

TEST(ByHand, ListsAreInPages) {
  TestBox box;
  box.Declare({Job("c", "1 hour"), Job("a", "1 hour"), Job("b", "1 hour")}, kStart);
  const auto first = box.jobs().List("", 2).value();
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[1].job->name, "b");
  const auto second = box.jobs().List("b", 2).value();
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].job->name, "c");
  EXPECT_EQ(second[0].next, At(60));
}

}  // namespace
}  // namespace onebox::schedule
