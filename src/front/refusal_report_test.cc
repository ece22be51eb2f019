#include "front/refusal_report.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using std::chrono::seconds;
using telemetry::Limit;

// An operator reads why players were turned away, and is not buried in it.
TEST(RefusalReport, TellsAtOnceAndThenEveryTenSeconds) {
  telemetry::Metrics metrics = telemetry::Metrics::Create(2).value();
  metrics.lane(0).Add(Limit::kQueue);  // of a front before
  const FakeClock clock;
  const Time start = clock.Now();
  RefusalReport report(metrics, start);
  EXPECT_EQ(report.Take(start), "");
  metrics.lane(0).Add(Limit::kQueue);
  metrics.lane(1).Add(Limit::kQueue);
  metrics.lane(1).Add(Limit::kHopeless);
  EXPECT_EQ(report.Take(start + seconds(1)),
            "3 refused for want of room since the last such line (queue_max 2, hopeless 1)");
  metrics.lane(0).Add(Limit::kQueueTimeout);
  EXPECT_EQ(report.Take(start + seconds(2)), "") << "not yet";
  EXPECT_EQ(report.Take(start + seconds(11)),
            "1 refused for want of room since the last such line (queue_timeout 1)");
  EXPECT_EQ(report.Take(start + seconds(60)), "") << "nothing more was refused";
}

TEST(RefusalReport, LeavesOutWhatClientsDoWrong) {
  telemetry::Metrics metrics = telemetry::Metrics::Create(1).value();
  const FakeClock clock;
  RefusalReport report(metrics, clock.Now());
  metrics.lane(0).Add(Limit::kHeadTimeout);
  metrics.lane(0).Add(Limit::kBodyBytes);
  EXPECT_EQ(report.Take(clock.Now() + seconds(20)), "");
}

}  // namespace
}  // namespace onebox::front
