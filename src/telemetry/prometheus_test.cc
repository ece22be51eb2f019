#include "telemetry/prometheus.h"

#include <array>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Exposition, WritesEachTypeInTheFormatOfPrometheus) {
  Metrics metrics = Metrics::Create(2).value();
  metrics.lane(0).CountAnswer(200, Step::kWrite);
  metrics.lane(1).CountAnswer(200, Step::kWrite);
  metrics.lane(1).CountAnswer(503, Step::kWait);
  metrics.lane(0).Add(Limit::kQueue);
  metrics.lane(0).Add(Counter::kBytesSent, 4096);
  metrics.lane(0).Set(Gauge::kWorkersReady, 3);
  metrics.lane(0).CountRefusal(1);
  constexpr std::array<std::string_view, 2> kRefusals = {"bare_lf", "a\"b\\c\nd"};
  const std::string text = Exposition(metrics, kRefusals);

  for (const char* lines : {
           "# HELP onebox_requests_total Requests answered, by status.\n"
           "# TYPE onebox_requests_total counter\n"
           "onebox_requests_total{status=\"200\"} 2\n"
           "onebox_requests_total{status=\"503\"} 1\n"
           "# HELP onebox_requests_by_class_total ",
           "onebox_requests_by_class_total{class=\"5xx\"} 1\n",
           "onebox_steps_total{step=\"wait\"} 1\n"
           "onebox_steps_total{step=\"write\"} 2\n#",
           "onebox_limits_total{limit=\"queue_max\"} 1\n#",
           "onebox_refusals_total{reason=\"a\\\"b\\\\c\\nd\"} 1\n#",
           "# TYPE onebox_sent_bytes_total counter\nonebox_sent_bytes_total 4096\n",
           "# TYPE onebox_workers gauge\n"
           "onebox_workers{state=\"starting\"} 0\n"
           "onebox_workers{state=\"ready\"} 3\n#",
       }) {
    EXPECT_THAT(text, HasSubstr(lines));
  }
  EXPECT_THAT(text, Not(HasSubstr("bare_lf"))) << "it never counted";
}

TEST(Exposition, WritesHistogramsCumulative) {
  Metrics metrics = Metrics::Create(1).value();
  Lane lane = metrics.lane(0);
  lane.Observe(Histogram::kRun, std::chrono::microseconds(50));
  lane.Observe(Histogram::kRun, std::chrono::milliseconds(1));
  lane.Observe(Histogram::kRun, std::chrono::seconds(61));
  EXPECT_THAT(Exposition(metrics, {}),
              HasSubstr("# TYPE onebox_run_seconds histogram\n"
                        "onebox_run_seconds_bucket{le=\"0.0001\"} 1\n"
                        "onebox_run_seconds_bucket{le=\"0.00025\"} 1\n"
                        "onebox_run_seconds_bucket{le=\"0.0005\"} 1\n"
                        "onebox_run_seconds_bucket{le=\"0.001\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.0025\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.005\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.01\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.025\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.05\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.1\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.25\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"0.5\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"1\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"2.5\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"5\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"10\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"30\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"60\"} 2\n"
                        "onebox_run_seconds_bucket{le=\"+Inf\"} 3\n"
                        "onebox_run_seconds_sum 61.001050000\n"
                        "onebox_run_seconds_count 3\n"));
}

TEST(Exposition, HasOnlyLinesOfTheGrammarAndOneHeadingForEachMetric) {
  const std::string text = Exposition(Metrics::Create(1).value(), {});
  const std::regex grammar(
      R"re(# HELP [a-z0-9_]+ .+|# TYPE [a-z0-9_]+ (counter|gauge|histogram)|[a-z0-9_]+(\{[a-z]+="[^"]*"\})? [0-9.]+)re");
  std::set<std::string> headings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    SCOPED_TRACE(line);
    EXPECT_TRUE(std::regex_match(line, grammar));
    if (line.starts_with('#')) {
      const std::string heading = line.substr(0, line.find(' ', 7));
      EXPECT_TRUE(headings.insert(heading).second) << "twice";
    }
  }
  EXPECT_TRUE(text.ends_with('\n'));
}

TEST(MetricsReference, HasARowForEachMetricWithItsLabels) {
  const std::string page = MetricsReference();
  for (const MetricRow& row : kMetricTable)
    EXPECT_THAT(page, HasSubstr("| `" + std::string(row.name) + "` | "));
  EXPECT_THAT(page, HasSubstr("| counter | `step`: `accept` `read_head`"));
  EXPECT_THAT(page, HasSubstr("| gauge | `state=\"ready\"` |"));
  EXPECT_THAT(page, HasSubstr("| counter | `status` |"));
  EXPECT_THAT(page, HasSubstr(" 0.0001 0.00025 "));
}

}  // namespace
}  // namespace onebox::telemetry
