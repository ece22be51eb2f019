#include "shm/robust_lock.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <new>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/futex.h"
#include "os/mapping.h"

namespace onebox::shm {
namespace {

using Taken = RobustLock::Taken;

// What processes share.
struct Shared {
  RobustLock lock = {};
  long count = 0;  // guarded by it
};

// What other threads and processes do, they do in real time.
void LetPass(Duration duration) {
  std::atomic<std::uint32_t> nobodys = 0;
  os::WaitForChange(nobodys, 0, duration);
}

class RobustLockTest : public testing::Test {
 protected:
  RobustLockTest() { shared_.lock.Initialise(); }

  static pid_t Forked(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    work();
    ::_exit(0);
  }
  // A process that takes the lock, and ends without giving it back.
  void DieWithIt(Taken expected) {
    const pid_t child = Forked([&] {
      if (shared_.lock.Lock(std::chrono::seconds(10)) != expected) ::_exit(1);
      ::kill(::getpid(), SIGKILL);
    });
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it had the lock";
  }
  Taken TryInAThread() {
    Taken taken{};
    std::thread([&] {
      taken = shared_.lock.TryLock();
      if (taken != Taken::kNo) shared_.lock.Unlock();
    }).join();
    return taken;
  }

  os::Mapping mapping_ =
      os::Mapping::Share(os::NewSharedMemory("test", sizeof(Shared)).value(), sizeof(Shared))
          .value();
  Shared& shared_ = *new (mapping_.data()) Shared;
};

TEST_F(RobustLockTest, IsOnesAtATime) {
  EXPECT_EQ(shared_.lock.TryLock(), Taken::kYes);
  EXPECT_EQ(TryInAThread(), Taken::kNo);
  EXPECT_EQ(shared_.lock.TryLock(), Taken::kNo) << "not even its holder's twice";
  shared_.lock.Unlock();
  EXPECT_EQ(TryInAThread(), Taken::kYes);
}

TEST_F(RobustLockTest, WaitsNoLongerThanIsSaid) {
  ASSERT_EQ(shared_.lock.TryLock(), Taken::kYes);
  std::thread([&] {
    const os::SystemClock clock;
    const Time begin = clock.Now();
    EXPECT_EQ(shared_.lock.Lock(Duration::zero()), Taken::kNo);
    EXPECT_EQ(shared_.lock.Lock(std::chrono::seconds(-1)), Taken::kNo);
    EXPECT_EQ(shared_.lock.Lock(std::chrono::milliseconds(30)), Taken::kNo);
    EXPECT_GE(clock.Now() - begin, std::chrono::milliseconds(30));
  }).join();
  shared_.lock.Unlock();
}

TEST_F(RobustLockTest, WaitsForWhoGivesItBack) {
  ASSERT_EQ(shared_.lock.TryLock(), Taken::kYes);
  std::thread waiter([&] {
    EXPECT_EQ(shared_.lock.Lock(std::chrono::seconds(20)), Taken::kYes);
    shared_.lock.Unlock();
  });
  LetPass(std::chrono::milliseconds(10));
  shared_.lock.Unlock();
  waiter.join();
}

TEST_F(RobustLockTest, TellsTheNextOfADeathOnce) {
  DieWithIt(Taken::kYes);
  EXPECT_EQ(shared_.lock.TryLock(), Taken::kFromTheDead);
  EXPECT_EQ(TryInAThread(), Taken::kNo) << "it is ours, as ever";
  shared_.lock.Unlock();
  EXPECT_EQ(TryInAThread(), Taken::kYes);
}

TEST_F(RobustLockTest, TellsOfEachDeath) {
  DieWithIt(Taken::kYes);
  DieWithIt(Taken::kFromTheDead);
  DieWithIt(Taken::kFromTheDead);
  EXPECT_EQ(shared_.lock.Lock(std::chrono::seconds(10)), Taken::kFromTheDead);
  shared_.lock.Unlock();
  EXPECT_EQ(shared_.lock.TryLock(), Taken::kYes);
  shared_.lock.Unlock();
}

TEST_F(RobustLockTest, TellsWhoWaitsWhileItsHolderDies) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = Forked([&] {
    if (shared_.lock.TryLock() != Taken::kYes) ::_exit(1);
    (void)!::write(ends[1], "x", 1);
    ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  std::thread waiter([&] {
    EXPECT_EQ(shared_.lock.Lock(std::chrono::seconds(20)), Taken::kFromTheDead);
    shared_.lock.Unlock();
  });
  LetPass(std::chrono::milliseconds(10));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  waiter.join();
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(RobustLockTest, TellsOfAThreadThatEndedWithIt) {
  std::thread([&] { EXPECT_EQ(shared_.lock.TryLock(), Taken::kYes); }).join();
  EXPECT_EQ(shared_.lock.TryLock(), Taken::kFromTheDead);
  shared_.lock.Unlock();
}

TEST_F(RobustLockTest, GuardsWhatThreadsAndProcessesShare) {
  constexpr long kTimes = 5'000;
  const auto count = [&] {
    for (long i = 0; i < kTimes; ++i) {
      while (shared_.lock.Lock(std::chrono::seconds(10)) == Taken::kNo) {
      }
      ++shared_.count;
      shared_.lock.Unlock();
    }
  };
  const auto count_in_threads = [&] {
    std::thread one(count), two(count);
    one.join();
    two.join();
  };
  const std::array children = {Forked(count_in_threads), Forked(count_in_threads)};
  count_in_threads();
  for (const pid_t child : children)
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(shared_.count, 6 * kTimes);
}

}  // namespace
}  // namespace onebox::shm
