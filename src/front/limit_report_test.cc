#include "front/limit_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::front {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Time kBegin{std::chrono::hours(1)};

void Ask(limits::Gate& gate, int times) {
  const http::ParsedHead head(http::HeadWith(""));
  constexpr std::uint32_t kOnly[] = {0};
  for (int i = 0; i < times; ++i) {
    limits::Passage passage;
    gate.Ask(kOnly, {.head = *head, .path = "/", .client = {}}, kBegin, passage);
  }
}

TEST(LimitReport, TellsNowAndThenWhatWasRefused) {
  limits::Gate gate({{.name = "login", .rate = {.interval = std::chrono::hours(1), .burst = 2}}},
                    {});
  LimitReport report(gate, kBegin);
  Ask(gate, 2);
  EXPECT_THAT(report.Take(kBegin), IsEmpty());
  Ask(gate, 3);
  EXPECT_THAT(report.Take(kBegin),
              ElementsAre("limit \"login\": 3 refused by rate since the last such line"));
  Ask(gate, 1);
  EXPECT_THAT(report.Take(kBegin + std::chrono::seconds(9)), IsEmpty());
  EXPECT_THAT(report.Take(kBegin + std::chrono::seconds(10)), ElementsAre(HasSubstr(" 1 refused")));
  EXPECT_THAT(report.Take(kBegin + std::chrono::seconds(20)), IsEmpty());
}

TEST(LimitReport, HasItAllForTheMetrics) {
  limits::Gate gate({{.name = "a", .rate = {.interval = std::chrono::hours(1)}}}, {});
  Ask(gate, 3);
  std::string text;
  AppendLimitMetrics(text, gate);
  EXPECT_THAT(text, HasSubstr("\nonebox_rate_limits_total{limit=\"a\",outcome=\"passed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nonebox_rate_limits_total{limit=\"a\",outcome=\"rate\"} 2\n"));
  text.clear();
  AppendLimitMetrics(text, limits::Gate({}, {}));
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace onebox::front
