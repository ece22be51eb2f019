#include "shm/shared_text.h"

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace onebox::shm {
namespace {

constexpr Time kNow{std::chrono::seconds(7)};

SharedText Make(std::size_t bytes_max = 1000) {
  return SharedText::Create("test", bytes_max).value();
}

// The nth of texts that differ in every byte from the ones before and after, and mostly in length.
std::string TextOf(std::size_t n) {
  return std::string(1 + n * 37 % 900, static_cast<char>('a' + n % 26));
}

bool IsWhole(const std::string& text) {
  return !text.empty() && text.find_first_not_of(text.front()) == text.npos;
}

TEST(SharedText, HasNothingBeforeTheFirstWrite) {
  EXPECT_FALSE(Make().Read());
}

TEST(SharedText, GivesWhatWasWrittenLast) {
  SharedText text = Make();
  for (const char* const one : {"", "a", "12345678", "123456789", "short"}) {
    SCOPED_TRACE(one);
    EXPECT_EQ(text.Write(one, kNow), 0U);
    ASSERT_TRUE(text.Read());
    EXPECT_EQ(text.Read()->text, one);
    EXPECT_EQ(text.Read()->at, kNow);
  }
}

TEST(SharedText, LeavesOutWholeLinesFromTheEnd) {
  SharedText text = Make(10);
  EXPECT_EQ(text.Write("123\n56789\n", kNow), 0U);
  EXPECT_EQ(text.Write("123\n567890\n", kNow), 7U);
  EXPECT_EQ(text.Read()->text, "123\n");
  EXPECT_EQ(text.Write("one line that is too long\n", kNow), 26U);
  EXPECT_EQ(text.Read()->text, "");
}

TEST(SharedText, IsReadAsAWholeWhileItIsWritten) {
  SharedText text = Make();
  std::atomic<bool> ends = false;
  std::thread writer([&] {
    for (std::size_t n = 0; !ends.load(); ++n)
      text.Write(TextOf(n), kNow);
  });
  for (int whole = 0; whole < 10'000;) {
    const auto read = text.Read();
    if (!read) continue;  // not written yet, or too often
    ++whole;
    if (IsWhole(read->text)) continue;
    ADD_FAILURE() << read->text;
    break;
  }
  ends = true;
  writer.join();
}

TEST(SharedText, KeepsTheLastWholeTextOfAWriterThatIsKilled) {
  for (int i = 0; i < 20; ++i) {
    SharedText text = Make();
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::size_t n = 0;; ++n)
        text.Write(TextOf(n), kNow);
    }
    while (!text.Read()) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(text.Read()) << "nobody writes";
    EXPECT_TRUE(IsWhole(text.Read()->text));
    text.Write("the next one", kNow);
    EXPECT_EQ(text.Read()->text, "the next one");
  }
}

}  // namespace
}  // namespace onebox::shm
