#include "os/inquiry.h"

#include <csignal>

#include <gtest/gtest.h>

#include "os/clock.h"
#include "os/poll.h"

namespace onebox::os {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kTextBytesMax = 1 << 20;

Result<std::unique_ptr<Inquiry>> Begin(const std::string& script,
                                       Duration timeout = seconds(20),
                                       std::size_t text_bytes_max = kTextBytesMax) {
  return Inquiry::Begin(
      {.words = {"sh", "-c", script}, .environment = {{"PATH", "/usr/bin:/bin"}}},
      {.deadline = SystemClock().Now() + timeout, .text_bytes_max = text_bytes_max});
}

Said Hear(Inquiry& inquiry) {
  for (Time now{};; now = AwaitWord(inquiry)) {
    if (auto said = inquiry.Take(now)) return std::move(*said);
  }
}

TEST(Inquiry, HasAllThatWasSaidAndHowItEnded) {
  const auto inquiry = Begin("echo one; echo two >&2; exit 3").value();
  const Said said = Hear(*inquiry);
  EXPECT_EQ(said.end, Said::End::kByItself);
  EXPECT_EQ(said.text, "one\ntwo\n");
  EXPECT_EQ(said.status.text(), "exit status 3");
}

TEST(Inquiry, SaysNothingBeforeItsEnd) {
  const auto inquiry = Begin("echo one; sleep 60").value();
  AwaitWord(*inquiry);
  EXPECT_FALSE(inquiry->Take(SystemClock().Now()));
}

TEST(Inquiry, HasMoreThanAPipeHolds) {
  const auto inquiry = Begin("head -c 300000 /dev/zero").value();
  EXPECT_EQ(Hear(*inquiry).text.size(), 300'000U);
}

TEST(Inquiry, DoesNotWaitForWhoHasInheritedItsOutput) {
  const auto inquiry = Begin("echo one; sleep 5 & exit 0").value();
  const Time begun = SystemClock().Now();
  EXPECT_EQ(Hear(*inquiry).text, "one\n");
  EXPECT_LT(SystemClock().Now() - begun, seconds(4));
}

TEST(Inquiry, SleepsWhileAProgramThatHasClosedItsOutputRuns) {
  const auto inquiry = Begin("exec >&- 2>&-; exec sleep 60").value();
  for (int i = 0; i < 2; ++i) {  // the news that it is closed
    AwaitWord(*inquiry);
    ASSERT_FALSE(inquiry->Take(Time{}));
    std::vector<int> wanted;
    inquiry->Wanted(wanted);
    if (wanted.size() == 1) break;
  }
  std::vector<int> wanted;
  inquiry->Wanted(wanted);
  EXPECT_TRUE(WaitReadable(wanted, milliseconds(20)).empty());
}

TEST(Inquiry, IsEndedBeyondItsLimits) {
  const auto late = Begin("echo one; exec sleep 60", milliseconds(300)).value();
  const Said said = Hear(*late);
  EXPECT_EQ(said.end, Said::End::kLate);
  EXPECT_EQ(said.text, "one\n");
  const auto wordy = Begin("exec yes", seconds(20), 100'000).value();
  EXPECT_EQ(Hear(*wordy).end, Said::End::kTooLong);
}

TEST(Inquiry, KillsItsProcessWhenItGoes) {
  auto inquiry = Begin("exec sleep 60").value();
  Child child = Adopt(inquiry->pid()).value();
  inquiry.reset();
  const int ended[] = {child.pidfd().get()};
  ASSERT_FALSE(WaitReadable(ended, seconds(20)).empty());
  EXPECT_EQ(child.Reap()->signal, SIGKILL);
}

TEST(Asked, HasAnAnswerThatIsKnownAtOnceAndOnce) {
  Asked<int> asked(4);
  EXPECT_EQ(asked.inquiry(), nullptr);
  EXPECT_EQ(asked.Take(Time{}), 4);
  EXPECT_FALSE(asked.Take(Time{}));
}

TEST(Asked, ConcludesFromWhatWasSaid) {
  Asked<std::string> text(Begin("printf abc").value(), [](const Said& said) { return said.text; });
  auto size = std::move(text).Then([](const std::string& said) { return said.size(); });
  auto twice = std::move(size).Then([](std::size_t bytes) { return 2 * bytes; });
  EXPECT_EQ(WaitForAnswer(std::move(twice)), 6U);
  auto known = Asked<int>(4).Then([](int number) { return std::to_string(number); });
  EXPECT_EQ(WaitForAnswer(std::move(known)), "4");
}

}  // namespace
}  // namespace onebox::os
