// Timers that fire once and on time, and a reactor that wakes up for what it was told.
#include <thread>

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "event/reactor.h"
#include "os/clock.h"
#include "os/socket.h"

namespace onebox::event {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Alarm final : public Timer {
 public:
  void OnTimer() override { ++fired; }
  int fired = 0;
};

TEST(Timers, FireOnceAndNeverEarly) {
  FakeClock clock;
  Timers timers(clock.Now());
  for (const Duration after : {Duration(0),
                               Duration(milliseconds(3)),
                               Duration(milliseconds(1020)),
                               Duration(milliseconds(1030)),
                               Duration(seconds(75)),
                               Duration(seconds(600))}) {
    SCOPED_TRACE(after.count());
    Alarm alarm;
    const Time deadline = clock.Now() + after;
    timers.Arm(alarm, deadline);
    while (alarm.fired == 0) {
      const auto next = timers.NextDeadline();
      ASSERT_TRUE(next.has_value());
      clock.Advance(std::max(*next - clock.Now(), Duration(Timers::kTick)));
      timers.AdvanceTo(clock.Now());
      ASSERT_LE(clock.Now(), deadline + 2 * Timers::kTick) << "late";
      if (clock.Now() < deadline) {
        ASSERT_EQ(alarm.fired, 0) << "early";
      }
    }
    clock.Advance(seconds(700));
    timers.AdvanceTo(clock.Now());
    EXPECT_EQ(alarm.fired, 1);
  }
  EXPECT_FALSE(timers.NextDeadline().has_value());
}

TEST(Timers, ATimerMovedOrGoneDoesNotFire) {
  FakeClock clock;
  Timers timers(clock.Now());
  Alarm moved, disarmed;
  timers.Arm(moved, clock.Now() + seconds(1));
  timers.Arm(disarmed, clock.Now() + seconds(1));
  {
    Alarm gone;
    timers.Arm(gone, clock.Now() + seconds(1));
  }
  timers.Arm(moved, clock.Now() + seconds(3));
  timers.Disarm(disarmed);
  clock.Advance(seconds(2));
  timers.AdvanceTo(clock.Now());
  EXPECT_EQ(moved.fired + disarmed.fired, 0);
  clock.Advance(seconds(2));
  timers.AdvanceTo(clock.Now());
  EXPECT_EQ(moved.fired, 1);
}

class Recorder final : public Watcher {
 public:
  void OnReady(std::uint32_t events) override { seen |= events; }
  std::uint32_t seen = 0;
};

TEST(Reactor, TellsOfReadinessOnceAndRunsWhatIsPosted) {
  const os::SystemClock clock;
  const auto reactor = std::move(Reactor::New(clock)).value();
  const os::Pair pair = os::NewSocketPair(SOCK_STREAM).value();
  Recorder recorder;
  ASSERT_TRUE(reactor->Watch(pair.ours.get(), recorder, EPOLLIN | EPOLLRDHUP).ok());
  ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  reactor->Turn(seconds(5));
  EXPECT_EQ(recorder.seen, EPOLLIN);

  bool ran = false;
  std::thread other([&] { reactor->Post([&] { ran = true; }); });
  while (!ran)
    reactor->Turn(seconds(5));
  other.join();

  recorder.seen = 0;
  reactor->Unwatch(pair.ours.get(), recorder);
  ASSERT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  reactor->Turn(milliseconds(1));
  EXPECT_EQ(recorder.seen, 0U);
}

}  // namespace
}  // namespace onebox::event
