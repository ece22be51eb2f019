#include "os/signal.h"

#include <array>
#include <csignal>

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/poll.h"
#include "os/process.h"

namespace onebox::os {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

void Await(const Fd& fd) {
  EXPECT_EQ(WaitReadable(std::array{fd.get()}, std::nullopt).size(), 1U);
}

TEST(SignalAfter, SendsItOnceAndTheLastWordCounts) {
  auto queue = SignalQueue::Open({SIGUSR1, SIGUSR2});
  ASSERT_TRUE(queue.ok());
  ASSERT_TRUE(SignalAfter(SIGUSR2, hours(1)).ok());
  ASSERT_TRUE(SignalAfter(SIGUSR2, milliseconds(1)).ok());
  ASSERT_TRUE(SignalAfter(SIGUSR1, milliseconds(20)).ok());
  Await(queue.value().fd());
  EXPECT_EQ(queue.value().Next(), SIGUSR1);
  EXPECT_EQ(queue.value().Next(), std::nullopt);
}

TEST(SignalAfter, IsTakenBack) {
  ASSERT_TRUE(SignalAfter(SIGKILL, hours(1)).ok());
  ASSERT_TRUE(SignalAfter(SIGKILL, milliseconds(50)).ok());
  ASSERT_TRUE(SignalAfter(SIGKILL, Duration()).ok());
  EXPECT_TRUE(WaitReadable({}, milliseconds(100)).empty());
}

TEST(SignalAfter, HoldsForNoChild) {
  ASSERT_TRUE(SignalAfter(SIGKILL, hours(1)).ok());
  auto child = Fork([] { return SignalAfter(SIGKILL, Duration()).ok() ? 7 : 1; });
  ASSERT_TRUE(child.ok());
  Await(child.value().pidfd());
  EXPECT_EQ(child.value().Reap()->status, 7);
  ASSERT_TRUE(SignalAfter(SIGKILL, Duration()).ok());
}

TEST(SignalName, IsAsPeopleSayIt) {
  EXPECT_EQ(SignalName(SIGTERM), "SIGTERM");
  EXPECT_EQ(SignalName(SIGRTMAX), "signal 64");
}

}  // namespace
}  // namespace onebox::os
