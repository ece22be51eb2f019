#include "limits/pacer.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace onebox::limits {
namespace {

// Sends all that may leave, as soon as it may, and says how long `bytes` took and how often it woke.
struct Sending {
  Duration took{};
  std::uint64_t wakeups = 0;
};
Sending SendAll(Pacer& pacer, std::uint64_t bytes, Time begin) {
  Sending sending;
  for (Time now = begin; bytes > 0; now = pacer.Ready()) {
    EXPECT_GE(now - begin, sending.took);
    sending.took = now - begin;
    ++sending.wakeups;
    const std::uint64_t sent = std::min(bytes, pacer.Allowance(now));
    EXPECT_GT(sent, 0U) << "woken for nothing";
    if (sent == 0) break;
    pacer.Sent(sent);
    bytes -= sent;
  }
  return sending;
}

TEST(Pacer, KeepsToItsRateWithFewWakeups) {
  const Time begin{std::chrono::hours(1)};
  for (const std::uint64_t rate : {1ULL, 7ULL, 1000ULL, 65'536ULL, 1'000'003ULL, 1ULL << 30}) {
    SCOPED_TRACE(rate);
    Pacer pacer({.bytes_per_second = rate}, begin);
    const Sending sending = SendAll(pacer, 100 * rate, begin);
    EXPECT_GE(sending.took, std::chrono::seconds(99));
    EXPECT_LE(sending.took, std::chrono::milliseconds(100'001));
    EXPECT_LE(sending.wakeups, 8 * 100U + 1);
  }
}

TEST(Pacer, LetsTheFirstBytesGo) {
  const Time now{std::chrono::hours(1)};
  Pacer pacer({.bytes_per_second = 800, .after = 1'000'000}, now);
  EXPECT_EQ(pacer.Allowance(now), 1'000'100U);
  pacer.Sent(1'000'000);
  EXPECT_EQ(pacer.Allowance(now), 100U);
  pacer.Sent(100);
  EXPECT_EQ(pacer.Allowance(now), 0U);
  EXPECT_EQ(pacer.Ready(), now + std::chrono::milliseconds(125));
}

// An app that pauses may not send all at once what it might have sent meanwhile.
TEST(Pacer, SavesNoMoreThanAQuarterOfASecond) {
  Time now{std::chrono::hours(1)};
  Pacer pacer({.bytes_per_second = 800}, now);
  now += std::chrono::hours(24 * 365);
  EXPECT_EQ(pacer.Allowance(now), 200U);
}

}  // namespace
}  // namespace onebox::limits
