#include "os/process.h"

#include <csignal>

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/machine.h"
#include "os/poll.h"
#include "os/signal.h"
#include "os/socket.h"

namespace onebox::os {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ExitStatus WaitFor(Child& child) {
  const int wanted[] = {child.pidfd().get()};
  EXPECT_FALSE(WaitReadable(wanted, seconds(20)).empty());
  const auto status = child.Reap();
  EXPECT_TRUE(status);
  return status.value_or(ExitStatus{});
}

std::string ReadAll(const Fd& output) {
  std::string text;
  const int wanted[] = {output.get()};
  while (!WaitReadable(wanted, seconds(20)).empty()) {
    const std::string more = ReadAvailable(output);
    if (more.empty()) break;
    text += more;
  }
  return text;
}

TEST(Spawn, GivesWordsAndVariablesAndTakesBothOutputs) {
  auto spawned = Spawn({.words = {"sh", "-c", "echo $1 $A; echo bad >&2; exit 5", "sh", "word"},
                        .environment = {{"A", "b c"}, {"PATH", "/usr/bin:/bin"}}});
  ASSERT_TRUE(spawned.ok()) << spawned.error().message;
  EXPECT_EQ(ReadAll(spawned.value().output), "word b c\nbad\n");
  EXPECT_EQ(WaitFor(spawned.value().child).text(), "exit status 5");
}

TEST(Spawn, TellsThatAProgramCannotBeExecuted) {
  const auto spawned = Spawn({.words = {"/nowhere/at/all"}, .environment = {}});
  ASSERT_FALSE(spawned.ok());
  EXPECT_EQ(spawned.error().message, "/nowhere/at/all: No such file or directory");
}

TEST(Spawn, GivesTheControlSocketAsDescriptorThree) {
  Pair pair = NewSocketPair(SOCK_SEQPACKET).value();
  auto spawned = Spawn({.words = {"sh", "-c", "echo hello >&3"},
                        .environment = {{"PATH", "/usr/bin:/bin"}},
                        .control = std::move(pair.theirs)});
  ASSERT_TRUE(spawned.ok()) << spawned.error().message;
  const int wanted[] = {pair.ours.get()};
  ASSERT_FALSE(WaitReadable(wanted, seconds(20)).empty());
  EXPECT_EQ(ReceiveMessage(pair.ours, 100).value()->bytes, "hello\n");
  EXPECT_EQ(WaitFor(spawned.value().child).text(), "exit status 0");
}

// What the zygote does.
TEST(ForkChildOf, MakesAChildOfOurs) {
  AdoptOrphans();
  auto output = NewOutputPipe().value();
  const pid_t us = ::getpid();
  auto zygote = Fork([&] {
    const auto pid = ForkChildOf(us);
    if (!pid.ok()) return 1;
    if (pid.value() == 0) ::_exit(::getppid() == us && ::getpgrp() == ::getpid() ? 5 : 6);
    const std::string text = std::to_string(pid.value());
    return ::write(output.writer.get(), text.data(), text.size()) > 0 ? 0 : 1;
  });
  ASSERT_TRUE(zygote.ok());
  EXPECT_EQ(WaitFor(zygote.value()).text(), "exit status 0");
  auto adopted = Adopt(static_cast<pid_t>(std::stol(ReadAvailable(output.reader))));
  ASSERT_TRUE(adopted.ok());
  ReapStrangers(std::vector{adopted.value().pid()});
  EXPECT_EQ(WaitFor(adopted.value()).text(), "exit status 5") << "not reaped as a stranger";
}

TEST(ReapStrangers, BuriesWhatIsNotOurs) {
  auto child = Fork([] { return 0; });
  ASSERT_TRUE(child.ok());
  const int wanted[] = {child.value().pidfd().get()};
  ASSERT_FALSE(WaitReadable(wanted, seconds(20)).empty());
  ReapStrangers({});
  EXPECT_FALSE(child.value().Reap()) << "it is gone";
}

TEST(ForkChildOf, TellsThatThatProcessIsGone) {
  auto gone = Fork([] { return 0; });
  const pid_t pid = gone.value().pid();
  (void)WaitFor(gone.value());
  EXPECT_FALSE(ForkChildOf(pid).ok());
}

TEST(Spawn, BeginsWithoutTheParentsSignals) {
  auto queue = SignalQueue::Open({SIGTERM});
  ASSERT_TRUE(queue.ok());
  auto spawned = Spawn({.words = {"/bin/sleep", "60"}, .environment = {}});
  ASSERT_TRUE(spawned.ok());
  EXPECT_FALSE(spawned.value().child.Reap()) << "it runs";
  spawned.value().child.Signal(SIGTERM);
  EXPECT_EQ(WaitFor(spawned.value().child).text(), "killed by SIGTERM");
  spawned.value().child.Signal(SIGTERM);  // nobody is there: nothing happens
}

TEST(Fork, EndsWithTheRolesValue) {
  auto child = Fork([] { return ::getpgrp() == ::getpid() ? 42 : 1; });
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(WaitFor(child.value()).text(), "exit status 42");
}

TEST(Fork, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  auto parent = Fork([&writer] {
    const auto grandchild = Fork([] {
      (void)WaitReadable({}, seconds(60));
      return 0;
    });
    writer.Reset();
    (void)WaitReadable({}, seconds(60));
    return grandchild.ok() ? 0 : 1;
  });
  ASSERT_TRUE(parent.ok());
  writer.Reset();
  const int wanted[] = {reader.get()};
  EXPECT_TRUE(WaitReadable(wanted, milliseconds(200)).empty()) << "the grandchild holds the end";
  parent.value().Signal(SIGKILL);
  EXPECT_EQ(WaitFor(parent.value()).text(), "killed by SIGKILL");
  EXPECT_FALSE(WaitReadable(wanted, seconds(20)).empty()) << "and is gone";
}

TEST(SignalQueue, HoldsSignalsUntilTheyAreTaken) {
  auto queue = SignalQueue::Open({SIGUSR1, SIGHUP});
  ASSERT_TRUE(queue.ok());
  EXPECT_FALSE(queue.value().Next());
  ::kill(::getpid(), SIGUSR1);
  EXPECT_EQ(queue.value().Next(), SIGUSR1);
  EXPECT_FALSE(queue.value().Next());
}

TEST(SignalName, IsAsPeopleSayIt) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(42), "signal 42");
}

TEST(Machine, HasACoreAndMemory) {
  EXPECT_GE(CoresAllowed(), 1U);
  EXPECT_GT(MemoryBytes(), 1U << 20);
  const auto text = ReadKernelFile("/proc/self/status", 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(text.value().starts_with("Name:"));
  EXPECT_EQ(ReadKernelFile("/proc/self/status", 4).value(), "Name");
}

}  // namespace
}  // namespace onebox::os
