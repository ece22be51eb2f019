// What do others find when a process is killed in the middle of a change, at any of its instructions?

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/shard.h"
#include "os/mapping.h"

namespace onebox::cache {
namespace {

constexpr std::size_t kBytes = kShardBytesMin;
constexpr std::uint64_t kHashes = 0x9e37'79b9'7f4a'7c15;
const Time kNow{std::chrono::hours(1)};
constexpr int kOthers = 350;  // more than there is room for

struct Memory {
  os::Fd fd = os::NewSharedMemory("test", kBytes).value();
  os::Mapping mapping = os::Mapping::Share(fd, kBytes).value();
  std::span<std::byte> bytes() { return {mapping.data(), mapping.size()}; }
};

Key KeyOf(const std::string& text) {
  return {text, std::hash<std::string>()(text) * kHashes, 0};
}

// A shard with entries of all kinds, and no room for more.
class ShardKilled : public testing::Test {
 protected:
  ShardKilled() {
    shard_.Format();
    EXPECT_TRUE(shard_.TryLock());
    const std::int64_t first = 41;
    number_ = std::string(reinterpret_cast<const char*>(&first), sizeof first);
    Put("counter", {.bytes = number_, .codec = kNumberCodec, .keep = Keep::kUntilItExpires});
    Put("session", {.bytes = session_, .keep = Keep::kUntilItExpires});
    Put("target", {.bytes = before_});
    shard_.SetClaim(
        KeyOf("loaded"), {.token = 7, .process = 1}, kNow + std::chrono::hours(1), kNow);
    for (int i = 0; i < kOthers; ++i)
      Put(Other(i), {.bytes = OtherValue(i)});
    EXPECT_EQ(Get(shard_, "target").has_value(), true) << "it is in use";
    shard_.Unlock();
  }

  static std::string Other(int i) { return "other " + std::to_string(i); }
  static std::string OtherValue(int i) {
    return std::string(static_cast<std::size_t>(i) * 7 % 1500, 'o');
  }

  void Put(const std::string& key, const NewValue& value) {
    ASSERT_EQ(shard_.Set(KeyOf(key), value, {}, kNow), Outcome::kDone);
    if (key.starts_with("other")) Get(shard_, "target");  // so that it does not give way
  }

  static std::optional<std::string> Get(Shard& shard, const std::string& key) {
    Value value;
    if (shard.Get(KeyOf(key), kNow, value) == Answer::kAbsent) return std::nullopt;
    return value.bytes;
  }

  // Every entry that a change does not speak of is whole; those that are kept are there.
  void ExpectOthersWhole(Shard& shard) const {
    EXPECT_EQ(Get(shard, "session"), session_);
    for (int i = 0; i < kOthers; ++i) {
      const auto found = Get(shard, Other(i));
      if (found) {
        EXPECT_EQ(*found, OtherValue(i));
      }
    }
  }

  using Change = std::function<void(Shard&)>;
  using Expect = std::function<void(Shard&)>;
  void KillAtEveryInstruction(const Change& change, const Expect& expect);
  // Another process finds the memory as it is now, and its holder dead.
  void ExpectFromTheDead(std::span<const std::byte> found, const Expect& expect);

  std::string number_, session_ = std::string(500, 's'), before_ = std::string(200, 'b');
  Memory memory_;
  redis::Trust trust_;
  Shard shard_{memory_.bytes(), {}, trust_};
};

#ifndef __SANITIZE_THREAD__  // they have one thread, and each of its instructions would become fifty

void ShardKilled::ExpectFromTheDead(std::span<const std::byte> found, const Expect& expect) {
  Memory copy;
  std::memcpy(copy.bytes().data(), found.data(), found.size());
  Shard shard(copy.bytes(), {}, trust_);
  shard.head().lock.Initialise();
  ASSERT_TRUE(shard.TryLock());
  shard.PutInOrder();
  ASSERT_TRUE(shard.CheckInvariants());
  expect(shard);
  // And it goes on.
  const std::string whole(1'000, 'n');
  EXPECT_EQ(shard.Set(KeyOf("new"), {.bytes = whole}, {}, kNow), Outcome::kDone);
  EXPECT_EQ(Get(shard, "new"), whole);
  EXPECT_TRUE(shard.CheckInvariants());
  shard.Unlock();
}

void ShardKilled::KillAtEveryInstruction(const Change& change, const Expect& expect) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    if (!shard_.TryLock()) ::_exit(1);
    change(shard_);
    shard_.Unlock();
    ::_exit(0);
  }
  std::vector<std::byte> seen(memory_.bytes().begin(), memory_.bytes().end());
  int status = 0, changes = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  while (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0 &&
         ::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    // What it has not changed since was looked at already.
    if (std::memcmp(seen.data(), memory_.bytes().data(), seen.size()) == 0) continue;
    std::memcpy(seen.data(), memory_.bytes().data(), seen.size());
    ++changes;
    ExpectFromTheDead(seen, expect);
    if (HasFailure()) {
      ::kill(child, SIGKILL);
      FAIL() << "killed after its change number " << changes;
    }
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_GT(changes, 5);
}

TEST_F(ShardKilled, WhileItPutsAnEntryInAnothersPlace) {
  const std::string after(300, 'a');
  KillAtEveryInstruction(
      [&](Shard& shard) { shard.Set(KeyOf("target"), {.bytes = after}, {}, kNow); },
      [&](Shard& shard) {
        const auto found = Get(shard, "target");
        EXPECT_TRUE(found == before_ || found == after) << found.value_or("nothing");
        ExpectOthersWhole(shard);
      });
}

TEST_F(ShardKilled, WhileItPutsALargeEntryForWhichOthersGiveWay) {
  const std::string after(2'000, 'a');
  KillAtEveryInstruction(
      [&](Shard& shard) { shard.Set(KeyOf("large"), {.bytes = after}, {}, kNow); },
      [&](Shard& shard) {
        EXPECT_EQ(Get(shard, "large").value_or(after), after);
        ExpectOthersWhole(shard);
      });
}

TEST_F(ShardKilled, WhileItRemovesAnEntry) {
  KillAtEveryInstruction([&](Shard& shard) { shard.Remove(KeyOf("target"), {}, kNow); },
                         [&](Shard& shard) {
                           EXPECT_EQ(Get(shard, "target").value_or(before_), before_);
                           ExpectOthersWhole(shard);
                         });
}

TEST_F(ShardKilled, WhileItCounts) {
  std::int64_t sum = 0;
  KillAtEveryInstruction([&](Shard& shard) { shard.Add(KeyOf("counter"), 1, nullptr, kNow, sum); },
                         [&](Shard& shard) {
                           std::int64_t found = 0;
                           ASSERT_EQ(shard.Add(KeyOf("counter"), 0, nullptr, kNow, found),
                                     Outcome::kDone);
                           EXPECT_TRUE(found == 41 || found == 42) << found;
                           ExpectOthersWhole(shard);
                         });
}

TEST_F(ShardKilled, WhileItChangesWhatIsKept) {
  const std::string after(700, 'S');
  KillAtEveryInstruction(
      [&](Shard& shard) {
        shard.Set(KeyOf("counter"), {.bytes = after, .keep = Keep::kUntilItExpires}, {}, kNow);
      },
      [&](Shard& shard) {
        const auto found = Get(shard, "counter");
        EXPECT_TRUE(found == number_ || found == after);
        ExpectOthersWhole(shard);
      });
}

TEST_F(ShardKilled, WhileItFulfilsAClaim) {
  const std::string after(100, 'a');
  KillAtEveryInstruction(
      [&](Shard& shard) { shard.Fulfil(KeyOf("loaded"), 7, {.bytes = after}, kNow); },
      [&](Shard& shard) {
        EXPECT_EQ(Get(shard, "loaded").value_or(after), after);
        ExpectOthersWhole(shard);
      });
}

TEST_F(ShardKilled, WhileItBeginsAnew) {
  KillAtEveryInstruction(
      [&](Shard& shard) {
        shard.memory().Check(false);
        shard.Unlock();
        EXPECT_TRUE(shard.TryLock());
      },
      [&](Shard& shard) {
        if (Get(shard, "target")) {
          ExpectOthersWhole(shard);
        } else {
          EXPECT_EQ(shard.head().free_blocks, shard.memory().blocks() - 1);
        }
      });
}

#endif

// And with a real death, which the kernel tells.
TEST_F(ShardKilled, ByTheKernel) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!shard_.TryLock()) ::_exit(1);
    shard_.Set(KeyOf("target"), {.bytes = "in the making"}, {}, kNow);
    (void)!::write(ends[1], "x", 1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  EXPECT_FALSE(shard_.TryLock()) << "its holder lives";
  EXPECT_FALSE(shard_.Lock(std::chrono::milliseconds(1), kNow));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_TRUE(shard_.TryLock());
  EXPECT_TRUE(shard_.CheckInvariants());
  EXPECT_EQ(Get(shard_, "target"), "in the making");
  shard_.Unlock();
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace onebox::cache
