#include "acme/metrics.h"

#include <array>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/file.h"

namespace onebox::acme {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, HaveALineForEachNameAndForErrorsThatThereWere) {
  std::array<NameStatus, 2> names;
  names[0].name = "game.example";
  names[0].facts = Facts{.not_after = WallTime(std::chrono::seconds(1'700'000'000))};
  names[0].issued = 3;
  names[1].name = "www.game.example";
  names[1].facts = Facts{.not_after = WallTime(std::chrono::seconds(9)), .placeholder = true};
  names[1].state.failures = 2;
  names[1].state.error_kind = "dns";
  names[1].failed = {{"dns", 1}, {"connection", 1}};
  const std::string text = Metrics(names);
  EXPECT_THAT(text,
              HasSubstr("# TYPE onebox_acme_certificate gauge\n"
                        "onebox_acme_certificate{name=\"game.example\"} 1\n"
                        "onebox_acme_certificate{name=\"www.game.example\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("onebox_acme_not_after_seconds{name=\"game.example\"} 1700000000\n"));
  EXPECT_THAT(text, HasSubstr("onebox_acme_not_after_seconds{name=\"www.game.example\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("onebox_acme_issued_total{name=\"game.example\"} 3\n"));
  EXPECT_THAT(text,
              HasSubstr("onebox_acme_last_error{name=\"www.game.example\",error=\"dns\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("onebox_acme_last_error{name=\"game.example\"")));
  EXPECT_THAT(
      text,
      HasSubstr("onebox_acme_failed_total{name=\"www.game.example\",error=\"connection\"} 1\n"));
}

TEST(MetricsReference, StandsInTheDocs) {
  const auto page = os::ReadFile("docs/use/logs-and-metrics.md", 1 << 20);
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(page.value(), HasSubstr(MetricsReference()));
}

}  // namespace
}  // namespace onebox::acme
