#include "supervise/backoff.h"

#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Backoff, WaitsNotAtAllAndThenFromATenthOfASecondToTenSeconds) {
  FakeClock clock;
  Backoff backoff(clock);
  int deaths = 0;
  for (const int expected : {0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10'000, 10'000}) {
    backoff.Started();
    clock.Advance(seconds(29));
    EXPECT_EQ(backoff.Died(), milliseconds(expected));
    EXPECT_EQ(backoff.deaths_in_a_row(), ++deaths);
  }
}

TEST(Backoff, ForgetsAfterAGoodLife) {
  FakeClock clock;
  Backoff backoff(clock);
  backoff.Started();
  EXPECT_EQ(backoff.Died(), milliseconds(100)) << "it lived for less than a second";
  EXPECT_EQ(backoff.Died(), milliseconds(200));
  backoff.Started();
  clock.Advance(seconds(30));
  EXPECT_EQ(backoff.Died(), milliseconds(0));
  EXPECT_EQ(backoff.deaths_in_a_row(), 1);
}

}  // namespace
}  // namespace onebox::supervise
