// A broker that dies, or a machine that loses its power, between any two steps of a firing's way.
#include <functional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/jobs_testing.h"
#include "sqlite/testing_disk.h"

namespace onebox::schedule {
namespace {

using std::chrono::minutes;
using testing::Each;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

const WallTime kStart = Utc("2026-01-05 00:00:30");
WallTime At(int minute) {
  return Utc("2026-01-05 00:00") + minutes(minute);
}

constexpr int kSteps = 7;

// As a broker does at its start.
void AskOfRunsLeft(TestBox& box, WallTime now) {
  const auto left = box.jobs().RunsLeft();
  for (const RunId run : left) {
    if (box.queue().HasFailed(run)) box.End(run, now, RunState::kFailed);
  }
}

// The way of the firing of one minute, with a crash after step `crash_after` of it. A task that ends is
// not done, so that its key is forgotten: then nothing but the file keeps it from running again.
void Walk(TestBox& box, WallTime now, int crash_after, const std::function<void()>& crash) {
  int step = 0;
  const auto crashed = [&] {
    const bool crashes = step++ == crash_after;
    if (!crashes) return false;
    crash();
    AskOfRunsLeft(box, now);
    return true;
  };
  const auto enqueue = [&](const std::vector<Firing>& due) {
    std::vector<Jobs::Confirmation> confirmed;
    for (const Firing& firing : due) {
      confirmed.push_back({firing.fence, box.queue().Enqueue(firing.key)});
    }
    return confirmed;
  };
  (void)crashed();  // 0: it is due
  auto due = box.Take(now);
  if (crashed()) due = box.Take(now);  // 1: it is given out
  auto confirmed = enqueue(due);
  if (crashed()) confirmed = enqueue(box.Take(now));  // 2: it is in the queue
  CHECK(confirmed.size() == 1);
  CHECK(box.jobs().Enqueued(confirmed).ok());
  (void)crashed();  // 3: it is confirmed
  const RunId run = confirmed[0].run;
  CHECK(box.jobs().Begun(run, 1, now).ok());
  (void)crashed();  // 4: it has begun
  box.queue().Fail(run);
  (void)crashed();  // 5: it has ended, as the queue knows
  CHECK(box.jobs().Ended(run, RunState::kFailed, "", now).ok());
  (void)crashed();  // 6: and as its job knows
  CHECK(box.Take(now).empty());
}

void ExpectEachOnce(TestBox& box, int firings) {
  EXPECT_THAT(box.jobs().RunsLeft(), IsEmpty());
  EXPECT_THAT(box.History(), SizeIs(firings));
  EXPECT_THAT(box.History(), Each(testing::StartsWith("failed 1 ")));
  EXPECT_THAT(box.queue().tasks(), SizeIs(firings));
  EXPECT_THAT(box.queue().tasks(), Each(Pair(testing::_, 1)));
}

class Crash : public testing::TestWithParam<Overlap> {};

TEST_P(Crash, OfTheBrokerLosesNoFiringAndRunsNoneTwice) {
  for (int crash_after = 0; crash_after < kSteps; ++crash_after) {
    SCOPED_TRACE(crash_after);
    TestBox box;
    box.Declare({Job("a", "1 minute", GetParam())}, kStart);
    for (int minute = 1; minute <= 2; ++minute) {
      Walk(box, At(minute), crash_after, [&] { box.Kill(); });
    }
    ExpectEachOnce(box, 2);
  }
}

TEST_P(Crash, OfTheMachineLosesNoFiringAndRunsNoneTwice) {
  std::mt19937_64 random(17);
  for (int crash_after = 0; crash_after < kSteps; ++crash_after) {
    SCOPED_TRACE(crash_after);
    const sqlite::TestDisk disk;
    TestBox box;
    box.Declare({Job("a", "1 minute", GetParam())}, kStart);
    for (int minute = 1; minute <= 3; ++minute) {
      Walk(box, At(minute), crash_after, [&] {
        box.Replace([&](const std::string& from, const std::string& to) {
          disk.LosePower(from, to, random);
        });
      });
    }
    ExpectEachOnce(box, 3);
  }
}

// The next start finds it whatever the clock says.
TEST_P(Crash, BeforeTheClockIsPutBackLosesNothing) {
  TestBox box;
  box.Declare({Job("a", "1 minute", GetParam())}, kStart);
  const auto due = box.Take(At(5));
  ASSERT_THAT(due, SizeIs(1));
  box.queue().Enqueue(due[0].key);
  box.Kill();
  EXPECT_LE(box.jobs().NextDue(), At(1));
  const auto again = box.Take(At(1));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].key, due[0].key);
  EXPECT_EQ(again[0].fence, due[0].fence);
}

INSTANTIATE_TEST_SUITE_P(
    Overlaps,
    Crash,
    testing::Values(Overlap::kSkip, Overlap::kQueue, Overlap::kReplace, Overlap::kParallel));

TEST(CrashByHand, OfTheBrokerRunsItOnce) {
  TestBox box;
  box.Declare({Job("a", "1 hour")}, kStart);
  const Firing firing = box.jobs().RunNow("a", At(1)).value();
  box.queue().Enqueue(firing.key);
  box.Kill();
  const auto again = box.Take(At(1));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_TRUE(again[0].manual);
  EXPECT_EQ(again[0].key, firing.key);
}

}  // namespace
}  // namespace onebox::schedule
