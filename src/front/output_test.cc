#include "front/output.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "os/socket.h"

namespace onebox::front {
namespace {

std::string Pattern(std::size_t size) {
  std::string bytes(size, ' ');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>('a' + i % 23);
  return bytes;
}

class OutputTest : public ::testing::Test {
 protected:
  // Writes and reads in turn until all has arrived, as a slow client takes it.
  std::string Arrived(Output& output) {
    std::string all;
    char buffer[4096];
    for (;;) {
      const Output::Wrote wrote = output.WriteTo(transport_, Time());
      EXPECT_NE(wrote, Output::Wrote::kGone);
      const ssize_t size = ::read(sockets_.theirs.get(), buffer, sizeof buffer);
      if (size > 0) all.append(buffer, static_cast<std::size_t>(size));
      if (wrote != Output::Wrote::kSome && size <= 0) return all;
    }
  }

  const std::string folder_ = ::testing::TempDir();
  Budget budget_{1 << 20};
  os::Pair sockets_ = os::NewSocketPair(SOCK_STREAM).value();
  Transport transport_{std::move(sockets_.ours)};
};

TEST_F(OutputTest, KeepsTheOrderFromMemoryThroughTheFile) {
  Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
  const std::string bytes = Pattern(600'000);
  for (std::size_t i = 0; i < bytes.size(); i += 700) {
    ASSERT_TRUE(output.Append(std::string_view(bytes).substr(i, 700)));
  }
  EXPECT_EQ(output.pending(), bytes.size());
  EXPECT_LE(budget_.used(), 1000U);
  EXPECT_EQ(Arrived(output), bytes);
  EXPECT_EQ(output.sent(), bytes.size());
  EXPECT_EQ(budget_.used(), 0U);
}

// Memory, then pieces of which one is empty: a portion at a time, and nothing between.
TEST_F(OutputTest, KeepsToItsPace) {
  const std::string first = Pattern(3000), second = Pattern(5000);
  Output output(budget_, {.memory_max = 1 << 20, .folder = folder_}, Time());
  output.SetPace({.bytes_per_second = 8000, .after = 500}, Time());
  ASSERT_TRUE(output.Append(first));
  Body pieces;
  for (const std::string_view bytes : {std::string_view(second).substr(0, 1700),
                                       std::string_view(),
                                       std::string_view(second).substr(1700)}) {
    pieces.Append({.owner = nullptr, .bytes = bytes});
  }
  output.AppendPieces(std::move(pieces));
  std::string arrived;
  Time now{};
  while (output.WriteTo(transport_, now) == Output::Wrote::kSome) {
    std::string part(8000, ' ');
    part.resize(static_cast<std::size_t>(::read(sockets_.theirs.get(), part.data(), part.size())));
    EXPECT_LE(part.size(), arrived.empty() ? 1500U : 1000U);
    arrived += part;
    ASSERT_GT(output.ready(), now);
    EXPECT_EQ(output.WriteTo(transport_, now), Output::Wrote::kSome) << "it is not time yet";
    now = output.ready();
  }
  const Duration least = std::chrono::microseconds(812'500);  // of 6500 bytes
  EXPECT_GE(now, Time(least));
  EXPECT_LE(now, Time(least + std::chrono::milliseconds(125)));
  EXPECT_EQ(output.pending(), 0U);
  EXPECT_EQ(arrived + Arrived(output), first + second);
}

TEST_F(OutputTest, HoldsNoMoreThanWaitsOfAStreamThatIsNeverQuiteSent) {
  Budget budget(64 << 20);
  Output output(budget, {.memory_max = 1 << 20, .folder = folder_}, Time());
  const std::string part = Pattern(4096);
  do
    ASSERT_TRUE(output.Append(part));
  while (output.WriteTo(transport_, Time()) == Output::Wrote::kAll);
  ASSERT_TRUE(output.Append(Pattern(512 << 10)));  // more than the socket takes at once
  std::string taken(part.size(), ' ');
  for (int round = 0; round < 1000; ++round) {
    ASSERT_EQ(::read(sockets_.theirs.get(), taken.data(), taken.size()), 4096);
    ASSERT_TRUE(output.Append(part));
    ASSERT_EQ(output.WriteTo(transport_, Time()), Output::Wrote::kSome);
    ASSERT_LE(budget.used(), 2U << 20) << "in round " << round;
  }
}

// Of the one file without a name in that folder.
std::uint64_t BytesOnDisk(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed;  // the one that lists the folder
    const std::string target = std::filesystem::read_symlink(entry, closed);
    struct stat status {};
    const bool ours = target.starts_with(folder) && target.ends_with("(deleted)");
    if (ours && ::stat(entry.path().c_str(), &status) == 0)
      return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return 0;
}

TEST_F(OutputTest, LeavesNoMoreOnTheDiskThanWaitsOfAStreamThatIsNeverQuiteSent) {
  Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
  const std::string part = Pattern(1 << 20);
  ASSERT_TRUE(output.Append(part));
  std::string taken(part.size(), ' ');
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(output.Append(part));
    for (std::size_t size = 0; size < part.size();) {
      ASSERT_NE(output.WriteTo(transport_, Time()), Output::Wrote::kGone);
      const ssize_t more = ::read(sockets_.theirs.get(), taken.data() + size, part.size() - size);
      ASSERT_GT(more, 0);
      size += static_cast<std::size_t>(more);
    }
    ASSERT_EQ(taken, part);
    ASSERT_GT(BytesOnDisk(folder_), 0U);
    ASSERT_LE(BytesOnDisk(folder_), 4U << 20) << "in round " << round;
  }
}

TEST_F(OutputTest, GoesToTheFileWhereTheBudgetIsSpent) {
  ASSERT_TRUE(budget_.Take(1 << 20));
  {
    Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
    ASSERT_TRUE(output.Append("hello"));
    EXPECT_EQ(Arrived(output), "hello");
  }
  EXPECT_EQ(budget_.used(), 1U << 20);
}

TEST_F(OutputTest, SaysSoWhereNeitherHasRoom) {
  ASSERT_TRUE(budget_.Take(1 << 20));
  const std::string nowhere = folder_ + "/is/not/there";
  Output output(budget_, {.memory_max = 1000, .folder = nowhere}, Time());
  EXPECT_FALSE(output.Append("hello"));
}

TEST_F(OutputTest, SendsMemoryThenPieces) {
  const std::string big = Pattern(300'000);
  Body pieces;
  pieces.Append({nullptr, std::string_view(big).substr(0, 10)});
  pieces.Append({nullptr, std::string_view(big).substr(10)});
  Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
  ASSERT_TRUE(output.Append("head"));
  output.AppendPieces(std::move(pieces));
  EXPECT_EQ(Arrived(output), "head" + big);
}

TEST_F(OutputTest, AFileThatWasCutShortEndsTheAnswer) {
  os::Fd file = os::OpenTemporary(folder_).value();
  ASSERT_TRUE(os::WriteAt(file, "0123456789", 0).ok());
  Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
  output.AppendFile(std::move(file), 5, 100);
  EXPECT_EQ(output.WriteTo(transport_, Time()), Output::Wrote::kGone);
}

// As HTTP/2 takes it: so many bytes for each frame.
std::string MovedInParts(Output& output, std::size_t part) {
  std::string all;
  while (output.pending() > 0) {
    const std::size_t before = all.size();
    const std::uint64_t bytes = std::min<std::uint64_t>(part, output.pending());
    EXPECT_TRUE(output.MoveTo(all, bytes));
    EXPECT_EQ(all.size() - before, bytes);
  }
  return all;
}

TEST_F(OutputTest, MovesWhatItHoldsInAnyParts) {
  const std::string big = Pattern(100'000);
  const os::Fd mapped = os::OpenTemporary(folder_).value();
  ASSERT_TRUE(os::WriteAt(mapped, big, 0).ok());
  for (const std::size_t part : {1U, 999U, 1000U, 16384U, 1'000'000U}) {
    SCOPED_TRACE(part);
    Output memory_and_file(budget_, {.memory_max = 1000, .folder = folder_}, Time());
    os::Fd file = os::OpenTemporary(folder_).value();
    ASSERT_TRUE(os::WriteAt(file, big, 0).ok());
    for (std::size_t at = 0; at < big.size(); at += 700)
      ASSERT_TRUE(memory_and_file.Append(std::string_view(big).substr(at, 700)));
    memory_and_file.AppendFile(std::move(file), 10, big.size() - 10);
    EXPECT_EQ(MovedInParts(memory_and_file, part), big + big.substr(10));
    EXPECT_EQ(memory_and_file.sent(), 2 * big.size() - 10);
    EXPECT_EQ(budget_.used(), 0U);

    Body pieces;
    pieces.Append({nullptr, std::string_view(big).substr(0, 10)});
    pieces.Append({nullptr, std::string_view(big).substr(10, 20'000), &mapped, big.data()});
    pieces.Append({nullptr, std::string_view(big).substr(20'010)});
    Output in_pieces(budget_, {.memory_max = 1000, .folder = folder_}, Time());
    ASSERT_TRUE(in_pieces.Append("head"));
    in_pieces.AppendPieces(std::move(pieces));
    EXPECT_EQ(MovedInParts(in_pieces, part), "head" + big);
  }
}

TEST_F(OutputTest, MovesNothingOfAFileThatWasCutShort) {
  os::Fd file = os::OpenTemporary(folder_).value();
  ASSERT_TRUE(os::WriteAt(file, "0123456789", 0).ok());
  Output output(budget_, {.memory_max = 1000, .folder = folder_}, Time());
  output.AppendFile(std::move(file), 5, 100);
  std::string out;
  EXPECT_FALSE(output.MoveTo(out, 100));
}

}  // namespace
}  // namespace onebox::front
