#include "telemetry/log_writer.h"

#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

namespace onebox::telemetry {
namespace {

class LogWriterTest : public ::testing::Test {
 protected:
  LogWriterTest() { os::RemoveFile(path_); }
  ~LogWriterTest() override { os::RemoveFile(path_); }

  std::unique_ptr<LogWriter> Open() { return LogWriter::Open({.path = path_}).value(); }
  std::string Written() const { return os::ReadFile(path_, 1 << 22).value(); }

  const std::string path_ = ::testing::TempDir() + "log_writer_test." + std::to_string(::getpid());
};

void Write(LogWriter& writer, std::string lines) {
  writer.Write(lines);
  EXPECT_TRUE(lines.empty());
}

TEST_F(LogWriterTest, WritesBuffersInTheirOrder) {
  const auto writer = Open();
  Write(*writer, "a\nb\n");
  Write(*writer, "");
  Write(*writer, "c\n");
  writer->Flush();
  EXPECT_EQ(Written(), "a\nb\nc\n");
  EXPECT_EQ(writer->TakeLost(), 0U);
}

TEST_F(LogWriterTest, WritesWhatIsQueuedWhenItEnds) {
  auto writer = Open();
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    Write(*writer, std::to_string(i) + "\n");
    expected += std::to_string(i) + "\n";
  }
  writer.reset();
  EXPECT_EQ(Written(), expected);
}

TEST_F(LogWriterTest, KeepsTheOrderOfEachThread) {
  auto writer = LogWriter::Open({.path = path_, .buffers_max = 1'000}).value();
  constexpr int kThreads = 4;
  constexpr int kLines = 200;
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&writer, thread] {
      std::string lines;
      for (int line = 0; line < kLines; ++line) {
        lines += std::to_string(thread) + " " + std::to_string(line) + "\n";
        writer->Write(lines);
      }
    });
  }
  threads.clear();
  writer.reset();
  std::map<int, int> next;
  std::istringstream written(Written());
  for (int thread = 0, line = 0; written >> thread >> line;)
    EXPECT_EQ(line, next[thread]++);
  for (int thread = 0; thread < kThreads; ++thread)
    EXPECT_EQ(next[thread], kLines);
}

TEST_F(LogWriterTest, CountsTheLinesThatAFullDiskDoesNotTake) {
  const auto writer = LogWriter::Open({.path = "/dev/full"}).value();
  Write(*writer, "a\nb\n");
  Write(*writer, "c\n");
  writer->Flush();
  EXPECT_EQ(writer->TakeLost(), 3U);
  EXPECT_EQ(writer->TakeLost(), 0U);
}

// A named pipe that nobody reads holds the thread up for a moment; the queue behind it fills.
TEST_F(LogWriterTest, LosesLinesRatherThanWaitForAReader) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const os::Fd reader(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto writer = LogWriter::Open({.path = path_, .buffers_max = 2}).value();
  constexpr std::uint64_t kBuffers = 40;
  for (std::uint64_t i = 0; i < kBuffers; ++i)
    Write(*writer, std::string(65'535, 'x') + "\n");
  writer->Flush();
  const std::uint64_t lost = writer->TakeLost();
  EXPECT_GE(lost, kBuffers - 2);
  EXPECT_LT(lost, kBuffers);
}

TEST_F(LogWriterTest, AppendsToTheNewFileAfterReopen) {
  const auto writer = Open();
  Write(*writer, "old\n");
  writer->Flush();
  const std::string renamed = path_ + ".1";
  ASSERT_EQ(std::rename(path_.c_str(), renamed.c_str()), 0);
  writer->Reopen();
  Write(*writer, "new\n");
  writer->Flush();
  EXPECT_EQ(Written(), "new\n");
  EXPECT_EQ(os::ReadFile(renamed, 100).value(), "old\n");
  os::RemoveFile(renamed);
}

TEST_F(LogWriterTest, GivesBackTheMemoryOfAnEarlierBuffer) {
  const auto writer = LogWriter::Open({.path = path_, .buffers_max = 1}).value();
  std::string lines(10'000, 'x');
  for (int i = 0; i < 3; ++i) {
    lines.append("\n");
    writer->Write(lines);
    writer->Flush();
  }
  EXPECT_TRUE(lines.empty());
  EXPECT_GE(lines.capacity(), 10'000U);
}

}  // namespace
}  // namespace onebox::telemetry
