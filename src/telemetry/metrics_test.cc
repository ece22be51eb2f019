#include "telemetry/metrics.h"

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "telemetry/prometheus.h"

namespace onebox::telemetry {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

os::Fd Duplicate(const os::Fd& fd) {
  return os::Fd(::dup(fd.get()));
}

TEST(Metrics, AddUpTheLanes) {
  Metrics metrics = Metrics::Create(3).value();
  metrics.lane(0).Add(Counter::kBytesSent, 10);
  metrics.lane(2).Add(Counter::kBytesSent, 5);
  metrics.lane(2).Add(Counter::kBytesSent);
  EXPECT_EQ(metrics.Sum(Counter::kBytesSent), 16U);
  EXPECT_EQ(metrics.Sum(Counter::kBytesReceived), 0U);
}

TEST(Metrics, LetALaneCountDownWhatAnotherCountedUp) {
  Metrics metrics = Metrics::Create(2).value();
  metrics.lane(0).Add(Gauge::kConnections, 3);
  metrics.lane(1).Add(Gauge::kConnections, -1);
  EXPECT_EQ(metrics.Sum(Gauge::kConnections), 2U);
  metrics.lane(0).Set(Gauge::kConnections, 0);
  EXPECT_EQ(metrics.Sum(Gauge::kConnections), 0U) << "never below zero";
}

TEST(Metrics, ForgetTheGaugesOfADeadProcessAndKeepItsCounters) {
  Metrics metrics = Metrics::Create(2).value();
  for (const std::size_t lane : {0U, 1U}) {
    metrics.lane(lane).Add(Counter::kStaticHits);
    for (std::uint8_t gauge = 0; gauge < kGauges; ++gauge)
      metrics.lane(lane).Set(Gauge{gauge}, 7);
  }
  metrics.lane(1).ClearGauges();
  for (std::uint8_t gauge = 0; gauge < kGauges; ++gauge)
    EXPECT_EQ(metrics.Sum(Gauge{gauge}), 7U);
  EXPECT_EQ(metrics.Sum(Counter::kStaticHits), 2U);
}

TEST(Metrics, GiveEachMemberOfEachMetricACellOfItsOwn) {
  Metrics metrics = Metrics::Create(1).value();
  Lane lane = metrics.lane(0);
  for (std::uint8_t i = 0; i < kCounters; ++i)
    lane.Add(Counter{i}, 100U + i);
  for (std::uint8_t i = 0; i < kGauges; ++i)
    lane.Set(Gauge{i}, 200U + i);
  for (std::size_t i = 0; i < kLimitNames.size(); ++i)
    lane.Add(Limit{static_cast<std::uint8_t>(i)});
  for (std::size_t i = 0; i < kRefusalsMax; ++i)
    lane.CountRefusal(i);
  lane.CountAnswer(100, Step::kAccept);
  lane.CountAnswer(599, Step::kWrite);
  lane.CountEnd(Step::kWrite);
  for (std::uint8_t i = 0; i < kHistograms; ++i)
    lane.Observe(Histogram{i}, nanoseconds(i + 1));

  for (std::uint8_t i = 0; i < kCounters; ++i)
    EXPECT_EQ(metrics.Sum(Counter{i}), 100U + i);
  for (std::uint8_t i = 0; i < kGauges; ++i)
    EXPECT_EQ(metrics.Sum(Gauge{i}), 200U + i);
  for (std::size_t i = 0; i < kLimitNames.size(); ++i)
    EXPECT_EQ(metrics.Sum(Limit{static_cast<std::uint8_t>(i)}), 1U);
  for (std::size_t i = 0; i < kRefusalsMax; ++i)
    EXPECT_EQ(metrics.Sum(Family::kRefusals, i), 1U);
  EXPECT_EQ(metrics.SumAnswers(100), 1U);
  EXPECT_EQ(metrics.SumAnswers(599), 1U);
  EXPECT_EQ(metrics.SumAnswers(200), 0U);
  EXPECT_EQ(metrics.SumAnswerClass(1), 1U);
  EXPECT_EQ(metrics.SumAnswerClass(2), 0U);
  EXPECT_EQ(metrics.SumAnswerClass(5), 1U);
  EXPECT_EQ(metrics.SumEnded(Step::kAccept), 1U);
  EXPECT_EQ(metrics.SumEnded(Step::kWrite), 2U);
  for (std::uint8_t i = 0; i < kHistograms; ++i) {
    EXPECT_EQ(metrics.Sum(Histogram{i}).count, 1U);
    EXPECT_EQ(metrics.Sum(Histogram{i}).sum, nanoseconds(i + 1));
  }
}

TEST(Metrics, PutADurationIntoTheFirstBucketThatHoldsIt) {
  struct Case {
    Duration duration;
    std::size_t bucket;
  };
  constexpr std::array kCases = {
      Case{nanoseconds(-5), 0},
      Case{nanoseconds(0), 0},
      Case{microseconds(100), 0},
      Case{microseconds(100) + nanoseconds(1), 1},
      Case{milliseconds(1), 3},
      Case{milliseconds(3), 5},
      Case{seconds(60), 17},
      Case{seconds(60) + nanoseconds(1), 18},
      Case{std::chrono::hours(100), 18},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.duration.count());
    Metrics metrics = Metrics::Create(1).value();
    metrics.lane(0).Observe(Histogram::kTotal, c.duration);
    const HistogramSum sum = metrics.Sum(Histogram::kTotal);
    EXPECT_EQ(sum.buckets[c.bucket], 1U);
    EXPECT_EQ(sum.count, 1U);
    EXPECT_EQ(sum.sum, std::max(c.duration, Duration(0)));
  }
}

TEST(Metrics, AreTheSameInEveryProcessThatMapsThem) {
  Metrics ours = Metrics::Create(2).value();
  Metrics theirs = Metrics::Open(Duplicate(ours.memory())).value();
  EXPECT_EQ(theirs.lanes(), 2U);
  theirs.lane(1).Add(Counter::kWorkersDied, 4);
  EXPECT_EQ(ours.Sum(Counter::kWorkersDied), 4U);
}

TEST(Metrics, RefuseMemoryThatIsNotTheirs) {
  const os::Fd tiny = os::NewSharedMemory("test", 8).value();
  EXPECT_FALSE(Metrics::Open(Duplicate(tiny)).ok());
  const os::Fd other = os::NewSharedMemory("test", 1 << 20).value();
  EXPECT_FALSE(Metrics::Open(Duplicate(other)).ok());

  const Metrics metrics = Metrics::Create(1).value();
  for (const std::size_t word : {0U, 1U, 2U}) {
    SCOPED_TRACE(word);
    const os::Mapping mapping = os::Mapping::Share(metrics.memory(), 64).value();
    std::uint64_t* const cell = reinterpret_cast<std::uint64_t*>(mapping.data()) + word;
    const std::uint64_t right = *cell;
    *cell = right + 1'000'000;
    EXPECT_FALSE(Metrics::Open(Duplicate(metrics.memory())).ok());
    *cell = 0;
    EXPECT_FALSE(Metrics::Open(Duplicate(metrics.memory())).ok());
    *cell = right + 1;  // more lanes than there is memory for
    EXPECT_FALSE(Metrics::Open(Duplicate(metrics.memory())).ok());
    *cell = right;
    EXPECT_TRUE(Metrics::Open(Duplicate(metrics.memory())).ok());
  }
}

TEST(Metrics, LoseNothingWhileOthersReadThem) {
  constexpr std::size_t kWriters = 3;
  constexpr std::uint64_t kRounds = 20'000;
  Metrics metrics = Metrics::Create(kWriters).value();
  std::vector<std::jthread> writers;
  for (std::size_t i = 0; i < kWriters; ++i) {
    writers.emplace_back([lane = metrics.lane(i)]() mutable {
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        lane.CountAnswer(200, Step::kWrite);
        lane.Observe(Histogram::kRun, microseconds(round));
      }
    });
  }
  std::uint64_t before = 0;
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t now = metrics.SumAnswers(200);
    EXPECT_GE(now, before);
    before = now;
    EXPECT_FALSE(Exposition(metrics, {}).empty());
  }
  writers.clear();
  EXPECT_EQ(metrics.SumAnswers(200), kWriters * kRounds);
  EXPECT_EQ(metrics.Sum(Histogram::kRun).count, kWriters * kRounds);
}

}  // namespace
}  // namespace onebox::telemetry
