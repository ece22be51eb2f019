#include "telemetry/log.h"

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/file.h"

namespace onebox::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    clock_.SetWall(wall_);
    os::RemoveFile(path_);
  }
  ~LogTest() override { os::RemoveFile(path_); }

  std::unique_ptr<Log> Open(LogLevel level = LogLevel::kInfo) {
    return Log::Open(clock_, {.role = "front", .path = path_, .level = level}).value();
  }
  std::string Written() const { return os::ReadFile(path_, 1 << 20).value(); }

  // Without time, role and process.
  std::string Texts() const {
    const std::string head = "2026-11-23T21:00:00.123Z front[" + std::to_string(::getpid()) + "] ";
    std::string texts;
    std::istringstream lines(Written());
    for (std::string line; std::getline(lines, line);)
      texts += line.substr(line.starts_with(head) ? head.size() : 0) + "\n";
    return texts;
  }

  const WallTime wall_{seconds(1'795'467'600) + milliseconds(123)};
  FakeClock clock_;
  const std::string path_ = ::testing::TempDir() + "log_test." + std::to_string(::getpid());
};

TEST_F(LogTest, WritesTimeRoleProcessAndLevelBeforeTheText) {
  Open()->Warning("worker {} is {}", 3, "slow");
  EXPECT_EQ(Written(),
            "2026-11-23T21:00:00.123Z front[" + std::to_string(::getpid()) +
                "] warning: worker 3 is slow\n");
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  const auto log = Open(LogLevel::kWarning);
  log->Debug("a");
  log->Info("b");
  log->Block(LogLevel::kInfo, "c", "d");
  log->Warning("e");
  log->Error("f");
  EXPECT_EQ(Texts(), "warning: e\nerror: f\n");
}

TEST_F(LogTest, KeepsAForgedLineInsideItsOwn) {
  Open()->Info("path {}", "/\n2026-11-23T21:00:00.123Z front[1] error: forged\x1b[2J");
  EXPECT_EQ(Texts(), "info: path /\\x0A2026-11-23T21:00:00.123Z front[1] error: forged\\x1B[2J\n");
}

TEST_F(LogTest, WritesABlockWithAMarginThatNoLineOfItCanLeave) {
  Open()->Block(LogLevel::kError, "the app raised", "Traceback:\n  File\r\nValueError: x\n");
  EXPECT_EQ(Texts(),
            "error: the app raised\n    | Traceback:\n    |   File\\x0D\n    | ValueError: x\n");
}

TEST_F(LogTest, AppendsToTheNewFileAfterReopen) {
  const auto log = Open();
  log->Info("old");
  const std::string renamed = path_ + ".1";
  ASSERT_EQ(std::rename(path_.c_str(), renamed.c_str()), 0);
  log->Info("still old");
  ASSERT_TRUE(log->Reopen().ok());
  log->Info("new");
  EXPECT_EQ(Texts(), "info: new\n");
  EXPECT_NE(os::ReadFile(renamed, 1 << 20).value().find("still old"), std::string::npos);
  os::RemoveFile(renamed);
}

TEST_F(LogTest, CountsTheLinesThatAFullDiskDoesNotTake) {
  const auto log = Log::Open(clock_, {.role = "front", .path = "/dev/full"}).value();
  log->Info("lost");
  log->Block(LogLevel::kInfo, "lost", "a\nb");
  EXPECT_EQ(log->TakeLost(), 4U);
  EXPECT_EQ(log->TakeLost(), 0U);
}

TEST_F(LogTest, SaysThatAPathCannotBeOpened) {
  const auto log = Log::Open(clock_, {.role = "front", .path = "/no/such/folder/log"});
  ASSERT_FALSE(log.ok());
  EXPECT_NE(log.error().message.find("/no/such/folder/log"), std::string::npos);
}

TEST_F(LogTest, KeepsLinesOfManyThreadsWhole) {
  const auto log = Open();
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&log] {
      for (int line = 0; line < 100; ++line)
        log->Info("{}", std::string(50, 'x'));
    });
  }
  threads.clear();
  std::string expected;
  for (int line = 0; line < 400; ++line)
    expected += "info: " + std::string(50, 'x') + "\n";
  EXPECT_EQ(Texts(), expected);
}

TEST_F(LogTest, SaysHowManyLinesOfOneKindWereLeftOut) {
  const auto log = Open();
  LogLimiter limiter(clock_, {.lines_max = 2, .period = seconds(10)});
  for (int i = 0; i < 5; ++i)
    log->Limited(limiter, LogLevel::kWarning, "refused {}", i);
  clock_.Advance(seconds(10));
  clock_.SetWall(wall_);
  log->Limited(limiter, LogLevel::kWarning, "refused {}", 5);
  log->Limited(limiter, LogLevel::kWarning, "refused {}", 6);
  EXPECT_EQ(Texts(),
            "warning: refused 0\nwarning: refused 1\n"
            "warning: 3 lines like the next one were left out\n"
            "warning: refused 5\nwarning: refused 6\n");
}

TEST_F(LogTest, DoesNotCountWhatItsLevelLeavesOutAgainstTheLimit) {
  const auto log = Open();
  LogLimiter limiter(clock_, {.lines_max = 1, .period = seconds(10)});
  log->Limited(limiter, LogLevel::kDebug, "unseen");
  log->Limited(limiter, LogLevel::kInfo, "seen");
  EXPECT_EQ(Texts(), "info: seen\n");
}

}  // namespace
}  // namespace onebox::telemetry
