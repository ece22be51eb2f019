#include "supervise/scaling.h"

#include <algorithm>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// A box whose workers answer as a function of their number says, and whose clients ask for `asked`
// requests a second.
class Box {
 public:
  Box(ScalingLimits limits, unsigned begin, std::function<double(unsigned)> capacity)
      : scaling_(limits, begin, "as planned"), capacity_(std::move(capacity)) {}

  // Lets so many seconds pass; the most and the fewest workers in them.
  void Run(int length, double asked, double cpu_idle = 0.5) {
    least_ = most_ = scaling_.wanted();
    for (int second = 0; second < length; ++second) {
      now_ += seconds(1);
      const double can = capacity_(scaling_.wanted());
      requests_ += static_cast<std::uint64_t>(std::min(asked, can));
      const bool full = asked > can;
      const double threads = 4.0 * scaling_.wanted();
      scaling_.Take({.waiting = full ? 10U : 0U,
                     .busy = static_cast<std::uint64_t>(threads * std::min(1.0, asked / can)),
                     .threads = 4,
                     .requests = requests_,
                     .cpu_idle = cpu_idle,
                     .memory_allows = memory_allows_,
                     .by_clock = by_clock_,
                     .clock_reason = "peak hours, 20:30-23:00"},
                    now_);
      changes_ += scaling_.wanted() != before_ ? 1 : 0;
      before_ = scaling_.wanted();
      least_ = std::min(least_, scaling_.wanted());
      most_ = std::max(most_, scaling_.wanted());
    }
  }

  Scaling scaling_;
  std::function<double(unsigned)> capacity_;
  Time now_{seconds(1000)};
  std::uint64_t requests_ = 0;
  unsigned least_ = 0, most_ = 0, before_ = 0;
  int changes_ = 0;
  bool memory_allows_ = true;
  unsigned by_clock_ = 0;
};

double EachHelps(unsigned workers) {
  return 100.0 * workers;
}

TEST(Scaling, GrowsAsLongAsRequestsWaitAndEachWorkerHelps) {
  Box box({2, 8}, 2, EachHelps);
  box.Run(300, 550);
  EXPECT_EQ(box.scaling_.wanted(), 6U);
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("requests waited while 50 % of the CPU was idle"));
  box.Run(200, 550);
  EXPECT_EQ(box.least_, 6U) << "it rests there";
  EXPECT_EQ(box.most_, 6U);
}

TEST(Scaling, StopsAtItsMost) {
  Box box({2, 4}, 2, EachHelps);
  box.Run(300, 1000);
  EXPECT_EQ(box.scaling_.wanted(), 4U);
}

TEST(Scaling, TakesBackAWorkerThatDoesNotHelp) {
  Box box({2, 8}, 2, [](unsigned workers) { return std::min(300.0, 100.0 * workers); });
  box.Run(120, 1000);
  EXPECT_EQ(box.scaling_.wanted(), 3U) << "a database answers no more than that";
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("4 did not answer more than 3"));
  const int before = box.changes_;
  box.Run(400, 1000);
  EXPECT_EQ(box.changes_, before) << "no second try for a while";
}

TEST(Scaling, DoesNotGrowWithoutIdleCpu) {
  Box box({2, 8}, 2, EachHelps);
  box.Run(300, 1000, 0.1);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
}

TEST(Scaling, DoesNotGrowWithoutMemoryAndSaysSo) {
  Box box({2, 8}, 2, EachHelps);
  box.memory_allows_ = false;
  box.Run(60, 1000);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("memory has no room"));
}

TEST(Scaling, ShrinksAfterMinutesOfIdlenessDownToItsLeast) {
  Box box({2, 8}, 6, EachHelps);
  box.Run(290, 50);
  EXPECT_EQ(box.scaling_.wanted(), 6U);
  box.Run(3000, 50);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
}

TEST(Scaling, DoesNotOscillateAtASteadyLoad) {
  for (int asked = 50; asked <= 850; asked += 50) {
    SCOPED_TRACE(asked);
    Box box({2, 8}, 4, EachHelps);
    box.Run(3600, asked);
    const int before = box.changes_;
    box.Run(3600, asked);
    EXPECT_EQ(box.changes_, before);
  }
}

TEST(Scaling, StaysWhereItIsFixed) {
  Box box({4, 4}, 4, EachHelps);
  box.Run(600, 1000);
  EXPECT_EQ(box.scaling_.wanted(), 4U);
  EXPECT_EQ(box.scaling_.reason(), "as planned");
}

TEST(Scaling, WaitsUntilTheLastStepHasSettled) {
  Scaling scaling({2, 8}, 2, "as planned");
  Time now{seconds(1000)};
  for (int second = 0; second < 100; ++second) {
    now += seconds(1);
    scaling.Take({.waiting = 5, .threads = 4, .cpu_idle = 0.9, .settled = false}, now);
  }
  EXPECT_EQ(scaling.wanted(), 2U);
}

TEST(Scaling, FollowsTheClockWhateverTheLoadIs) {
  Box box({2, 2}, 2, EachHelps);
  box.by_clock_ = 8;
  box.Run(10, 0);
  EXPECT_EQ(box.scaling_.wanted(), 8U) << "above what is set";
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("peak hours, 20:30-23:00"));
  box.Run(3600, 0);
  EXPECT_EQ(box.least_, 8U) << "idle workers stay until the hour has passed";
  box.by_clock_ = 0;
  box.Run(10, 0);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("over"));
}

TEST(Scaling, GrowsBeyondWhatTheClockAsksForWhereThatHelps) {
  Box box({2, 8}, 2, EachHelps);
  box.by_clock_ = 4;
  box.Run(300, 550);
  EXPECT_EQ(box.scaling_.wanted(), 6U);
  box.Run(3600, 0);
  EXPECT_EQ(box.scaling_.wanted(), 4U);
  box.by_clock_ = 0;
  box.Run(3600, 0);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
}

TEST(Scaling, StaysWithinMemoryAtPeakHoursToo) {
  Box box({2, 2}, 2, EachHelps);
  box.by_clock_ = 8;
  box.memory_allows_ = false;
  box.Run(60, 0);
  EXPECT_EQ(box.scaling_.wanted(), 2U);
  EXPECT_THAT(box.scaling_.reason(), HasSubstr("memory has no room for more"));
}

}  // namespace
}  // namespace onebox::supervise
