#include "os/line_sink.h"

#include <csignal>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "os/socket.h"

namespace onebox::os {
namespace {

constexpr Duration kPatience = std::chrono::milliseconds(20);

struct Pipe {
  Fd reader, writer;
};
Pipe NewPipe() {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string Read(const Fd& reader, std::size_t size) {
  std::string bytes(size, '\0');
  const auto count = ::read(reader.get(), bytes.data(), bytes.size());
  bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return bytes;
}

TEST(LineSink, AppendsToAFile) {
  const std::string path = ::testing::TempDir() + "line_sink_test." + std::to_string(::getpid());
  for (const char* line : {"one\n", "two\n"}) {
    LineSink sink = LineSink::Open(path, 2).value();
    EXPECT_EQ(sink.Write(line, kPatience), 4U);
  }
  EXPECT_EQ(ReadFile(path, 100).value(), "one\ntwo\n");
  RemoveFile(path);
}

TEST(LineSink, IsNotHeldUpByAReaderThatDoesNotRead) {
  const Pipe pipe = NewPipe();
  const Pair pair = NewSocketPair(SOCK_STREAM).value();
  struct Case {
    const char* why;
    int reader, writer;
  };
  for (const Case& c : {Case{"pipe", pipe.reader.get(), pipe.writer.get()},
                        Case{"socket", pair.theirs.get(), pair.ours.get()}}) {
    SCOPED_TRACE(c.why);
    LineSink sink = LineSink::Duplicate(c.writer).value();
    const std::string lines(1 << 20, 'x');
    const std::size_t written = sink.Write(lines, kPatience);
    EXPECT_GT(written, 0U);
    EXPECT_LT(written, lines.size());
    EXPECT_EQ(sink.Write("lost\n", kPatience), 0U);
    EXPECT_EQ(sink.Write("lost too\n", std::chrono::hours(1)), 0U) << "it waits only once";

    std::string rest(1 << 20, '\0');
    const auto taken = ::read(c.reader, rest.data(), rest.size());
    ASSERT_GT(taken, 0);
    std::string seen(rest, 0, static_cast<std::size_t>(taken));
    EXPECT_EQ(sink.Write("a new line\n", kPatience), 11U);
    while (!seen.ends_with("a new line\n")) {
      const auto count = ::read(c.reader, rest.data(), rest.size());
      ASSERT_GT(count, 0);
      seen.append(rest.data(), static_cast<std::size_t>(count));
    }
    EXPECT_TRUE(seen.ends_with("x\na new line\n")) << "the torn line was ended";
  }
}

TEST(LineSink, LeavesTheDescriptorOfOthersBlocking) {
  const Pipe pipe = NewPipe();
  LineSink sink = LineSink::Duplicate(pipe.writer.get()).value();
  EXPECT_EQ(sink.Write("a\n", kPatience), 2U);
  EXPECT_EQ(::fcntl(pipe.writer.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(Read(pipe.reader, 10), "a\n");
}

TEST(LineSink, LosesLinesWhoseReaderIsGone) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe = NewPipe();
  LineSink sink = LineSink::Duplicate(pipe.writer.get()).value();
  pipe.reader.Reset();
  EXPECT_EQ(sink.Write("lost\n", kPatience), 0U);
}

TEST(LineSink, DoesNotWaitForANamedPipeThatNobodyReads) {
  const std::string path = ::testing::TempDir() + "line_sink_fifo." + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(LineSink::Open(path, 2).ok());
  const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  LineSink sink = LineSink::Open(path, 2).value();
  EXPECT_LT(sink.Write(std::string(1 << 20, 'x'), kPatience), std::size_t{1} << 20);
  RemoveFile(path);
}

TEST(LineSink, LosesLinesOnAFullDisk) {
  LineSink sink = LineSink::Open("/dev/full", 2).value();
  EXPECT_EQ(sink.Write("lost\n", kPatience), 0U);
}

}  // namespace
}  // namespace onebox::os
