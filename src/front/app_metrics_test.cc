#include "front/app_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using testing::HasSubstr;

class AppMetricsTest : public testing::Test {
 protected:
  void AddApp() {
    const auto app = static_cast<std::uint32_t>(dispatches_.size());
    dispatches_.push_back(std::make_unique<Dispatch>(
        Dispatch::Options{.app = app,
                          .reactors = 1,
                          .queue = {.routes = {&rules_}, .queue_max = 10, .seed = 1},
                          .concurrency = {},
                          .wake = [](std::uint32_t) {}}));
    dispatches_.back()->Join(app + 1, 40 + static_cast<std::int32_t>(app), {.threads = 1}, now_);
  }
  // A request that runs, and one that waits where another runs.
  void Enter(std::size_t app, Place& place) {
    tickets_.push_back(std::make_unique<Ticket>());
    (void)dispatches_[app]->Enter(*tickets_.back(), Dispatch::Position::kBack, now_, place);
  }

  const Time now_ = Time(std::chrono::seconds(1));
  const RouteRules rules_{};
  std::vector<std::unique_ptr<Ticket>> tickets_;
  Dispatches dispatches_;
};

TEST_F(AppMetricsTest, SaysOfEachAppWhatIsItsOwn) {
  AddApp();
  AddApp();
  Place first, second, none;
  Enter(0, first);
  first.answered = now_;
  EXPECT_EQ(first.worker->app, 0U);
  dispatches_[0]->Leave(first, now_);
  Enter(1, second);
  EXPECT_EQ(second.worker->app, 1U);
  Enter(1, none);
  const std::string names[] = {"main", "shop"};
  std::string text;
  AppendAppMetrics(text, names, dispatches_);
  EXPECT_THAT(text,
              HasSubstr("onebox_app_queue_length{app=\"main\"} 0\n"
                        "onebox_app_queue_length{app=\"shop\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("onebox_app_threads_busy{app=\"main\"} 0\n"
                        "onebox_app_threads_busy{app=\"shop\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("onebox_app_requests_total{app=\"main\"} 1\n"
                        "onebox_app_requests_total{app=\"shop\"} 0\n"));
  EXPECT_EQ(AppNews(dispatches_),
            R"(,"apps":[{"queue":0,"busy":0,"requests":1},{"queue":1,"busy":1,"requests":0}])");
  dispatches_[1]->Cancel(*tickets_.back(), now_);
}

TEST_F(AppMetricsTest, SaysNothingWhereThereIsOneApp) {
  AddApp();
  const std::string names[] = {"main"};
  std::string text;
  AppendAppMetrics(text, names, dispatches_);
  EXPECT_EQ(text + AppNews(dispatches_), "");
}

}  // namespace
}  // namespace onebox::front
