#include "broker/turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::broker {
namespace {

using std::chrono::seconds;

constexpr Time kBegin{std::chrono::hours(1)};

std::vector<std::string> NamesOf(const std::vector<Turns::Queue*>& queues) {
  std::vector<std::string> names;
  for (const Turns::Queue* queue : queues)
    names.push_back(queue->name);
  return names;
}

TEST(Rate, IsReadAsItIsWritten) {
  EXPECT_EQ(Rate::Parse("10/s"), (Rate{10, seconds(1)}));
  EXPECT_EQ(Rate::Parse("1/d")->per, std::chrono::hours(24));
  EXPECT_EQ(Rate::Parse("100/m")->text(), "100/m");
  for (const char* const wrong : {"", "/s", "10", "10/", "0/s", "-1/s", "10/w", "10 /s", "1e3/s"}) {
    EXPECT_FALSE(Rate::Parse(wrong)) << wrong;
  }
}

TEST(Turns, LetsEachQueueBeTheFirstOnce) {
  Turns turns;
  for (const char* const name : {"a", "b", "c"})
    turns.Wake(name);
  EXPECT_THAT(NamesOf(turns.InTurn()), testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(NamesOf(turns.InTurn()), testing::ElementsAre("b", "c", "a"));
  EXPECT_THAT(NamesOf(turns.InTurn()), testing::ElementsAre("c", "a", "b"));
  turns.Find("a").hungry = false;
  EXPECT_THAT(NamesOf(turns.InTurn()), testing::ElementsAre("b", "c"));
}

TEST(Turns, AllowsWhatTheRateHasBrought) {
  Turns turns;
  turns.SetRule("q", {.rate = Rate{2, seconds(1)}}, kBegin);
  Turns::Queue& queue = turns.Find("q");
  turns.Fill(kBegin);
  EXPECT_EQ(Turns::Allowed(queue, 10), 2U);  // a second's worth at once
  Turns::Begun(queue, 2);
  EXPECT_EQ(Turns::Allowed(queue, 10), 0U);
  EXPECT_EQ(turns.NextByRate(), kBegin + std::chrono::milliseconds(500));
  turns.Fill(kBegin + std::chrono::milliseconds(500));
  EXPECT_EQ(Turns::Allowed(queue, 10), 1U);
  turns.Fill(kBegin + std::chrono::hours(1));
  EXPECT_EQ(Turns::Allowed(queue, 10), 2U);  // a pause is not saved up
}

TEST(Turns, AllowsLessThanOneASecond) {
  Turns turns;
  turns.SetRule("q", {.rate = Rate{1, std::chrono::hours(1)}}, kBegin);
  Turns::Queue& queue = turns.Find("q");
  turns.Fill(kBegin);
  EXPECT_EQ(Turns::Allowed(queue, 10), 1U);
  Turns::Begun(queue, 1);
  turns.Fill(kBegin + std::chrono::minutes(59));
  EXPECT_EQ(Turns::Allowed(queue, 10), 0U);
  turns.Fill(kBegin + std::chrono::minutes(60));
  EXPECT_EQ(Turns::Allowed(queue, 10), 1U);
}

TEST(Turns, AllowsNoMoreAtTheSameTimeThanTheRuleSays) {
  Turns turns;
  turns.SetRule("q", {.rate = {}, .concurrency = 3}, kBegin);
  Turns::Queue& queue = turns.Find("q");
  EXPECT_EQ(Turns::Allowed(queue, 10), 3U);
  Turns::Begun(queue, 2);
  EXPECT_EQ(Turns::Allowed(queue, 10), 1U);
  queue.running = 4;  // as the rule was wider before
  EXPECT_EQ(Turns::Allowed(queue, 10), 0U);
}

}  // namespace
}  // namespace onebox::broker
