#include "broker/metrics.h"

#include <array>
#include <memory>
#include <string>

#include <gmock/gmock.h>

#include "os/file.h"

namespace onebox::broker {
namespace {

using queue::QueueFigures;
using testing::HasSubstr;

TEST(TaskMetrics, HaveALineForEachQueue) {
  const std::array queues = {
      QueueFigures{.name = "default",
                   .waiting = 7,
                   .oldest = std::chrono::milliseconds(1500),
                   .done_total = 12'345'678'901},
      QueueFigures{.name = "a\"b\n", .paused = QueueFigures::Paused::kYes, .dead = 2}};
  const std::string text = TaskMetrics(queues);
  EXPECT_THAT(text,
              HasSubstr("# TYPE onebox_tasks_waiting gauge\n"
                        "onebox_tasks_waiting{queue=\"default\"} 7\n"
                        "onebox_tasks_waiting{queue=\"a\\\"b\\n\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("onebox_tasks_oldest_seconds{queue=\"default\"} 1.5\n"));
  EXPECT_THAT(text,
              HasSubstr("# TYPE onebox_tasks_done_total counter\n"
                        "onebox_tasks_done_total{queue=\"default\"} 12345678901\n"));
  EXPECT_THAT(text, HasSubstr("onebox_tasks_paused{queue=\"a\\\"b\\n\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("onebox_tasks_dead{queue=\"a\\\"b\\n\"} 2\n"));
}

TEST(JobMetrics, HaveALineForEachJobAndEachOutcome) {
  using schedule::RunState;
  const auto spec = std::make_shared<const schedule::JobSpec>(schedule::JobSpec{.name = "prices"});
  const WallTime due{std::chrono::seconds(1000)};
  const std::array jobs = {
      schedule::JobStatus{
          .job = spec,
          .running = 1,
          .missed_total = 3,
          .last = schedule::JobRun{.firing = due, .begun = due + std::chrono::milliseconds(250)}},
      schedule::JobStatus{
          .job = std::make_shared<const schedule::JobSpec>(schedule::JobSpec{.name = "never"}),
          .paused = true}};
  const std::string text =
      JobMetrics(jobs, {{{"prices", RunState::kDone}, 7}, {{"prices", RunState::kTimeout}, 1}});
  EXPECT_THAT(text, HasSubstr("onebox_jobs_running{job=\"prices\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("onebox_jobs_paused{job=\"never\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("onebox_jobs_lateness_seconds{job=\"prices\"} 0.25\n"
                        "onebox_jobs_lateness_seconds{job=\"never\"} NaN\n"));
  EXPECT_THAT(text, HasSubstr("onebox_jobs_missed_total{job=\"prices\"} 3\n"));
  EXPECT_THAT(text,
              HasSubstr("# TYPE onebox_jobs_runs_total counter\n"
                        "onebox_jobs_runs_total{job=\"prices\",outcome=\"done\"} 7\n"
                        "onebox_jobs_runs_total{job=\"prices\",outcome=\"timeout\"} 1\n"));
}

TEST(MetricsReference, StandsInTheDocs) {
  const auto page = os::ReadFile("docs/use/logs-and-metrics.md", 1 << 20);
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page.value(), HasSubstr(MetricsReference()));
}

}  // namespace
}  // namespace onebox::broker
