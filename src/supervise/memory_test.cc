#include "supervise/memory.h"

#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

using Verdict = WorkerMemory::Verdict;
constexpr std::uint64_t kMiB = 1 << 20;

constexpr std::string_view kRollup =
    "55f5cc01d000-7ffe35026000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:                1664 kB\nPss:                 176 kB\nPss_Dirty:           108 kB\n"
    "Shared_Clean:       1516 kB\nShared_Dirty:          0 kB\nPrivate_Clean:        40 kB\n"
    "Private_Dirty:       108 kB\nSwapPss:               7 kB\n";

TEST(ParseRollup, ReadsWhatTheKernelWrites) {
  const auto reading = ParseRollup(kRollup);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->pss, 176U << 10U);
  EXPECT_EQ(reading->own, 148U << 10U);
}

TEST(ParseRollup, IsNothingWhereSomethingIsMissing) {
  EXPECT_FALSE(ParseRollup(""));
  EXPECT_FALSE(ParseRollup("Pss: 176 kB\nPrivate_Clean: 40 kB\n"));
  EXPECT_FALSE(ParseRollup("Pss: much kB\nPrivate_Clean: 40 kB\nPrivate_Dirty: 1 kB\n"));
  for (std::size_t size = 0; size + 30 < kRollup.size(); ++size) {
    (void)ParseRollup(kRollup.substr(0, size));
  }
}

constexpr std::string_view kSmaps =
    "7f0000000000-7f0000400000 rw-s 00000000 00:01 1025       /memfd:onebox-cache (deleted)\n"
    "Size:               4096 kB\nRss:                  96 kB\nShared_Dirty:         40 kB\n"
    "Private_Clean:         8 kB\nPrivate_Dirty:        48 kB\nVmFlags: rd wr sh mr mw me ms\n"
    "7f0000400000-7f0000500000 rw-p 00000000 00:00 0                          [heap]\n"
    "Private_Clean:         0 kB\nPrivate_Dirty:       700 kB\n";

TEST(OwnPagesOf, CountsTheMappingsOfThatNameAlone) {
  EXPECT_EQ(OwnPagesOf(kSmaps, "/memfd:onebox-cache"), 56U << 10U);
  EXPECT_EQ(OwnPagesOf(kSmaps, "[heap]"), 700U << 10U);
  EXPECT_EQ(OwnPagesOf(kSmaps, "/memfd:another"), 0U);
  for (std::size_t size = 0; size < kSmaps.size(); ++size) {
    (void)OwnPagesOf(kSmaps.substr(0, size), "/memfd:onebox-cache");
  }
}

TEST(WorkerMemory, IsReplacedWhenItIsAboveTheSoftLimitTwice) {
  const MemoryLimits limits = {.soft = 100 * kMiB};
  WorkerMemory memory;
  memory.Take({60 * kMiB, 50 * kMiB}, limits);
  EXPECT_EQ(memory.bytes(), 60 * kMiB);
  memory.Take({120 * kMiB, 110 * kMiB}, limits);
  EXPECT_EQ(memory.Judge(limits), Verdict::kFine) << "once may be a moment's";
  memory.Take({60 * kMiB, 50 * kMiB}, limits);
  memory.Take({120 * kMiB, 110 * kMiB}, limits);
  EXPECT_EQ(memory.Judge(limits), Verdict::kFine);
  memory.Take({120 * kMiB, 110 * kMiB}, limits);
  EXPECT_EQ(memory.Judge(limits), Verdict::kReplace);
}

TEST(WorkerMemory, DoesNotGrowBecauseOthersLeave) {
  const MemoryLimits limits = {.soft = 100 * kMiB, .hard = 110 * kMiB};
  WorkerMemory memory;
  memory.Take({60 * kMiB, 50 * kMiB}, limits);
  // The others are gone: what was shared by many is its own share alone now.
  memory.Take({150 * kMiB, 50 * kMiB}, limits);
  memory.Take({150 * kMiB, 50 * kMiB}, limits);
  EXPECT_EQ(memory.bytes(), 60 * kMiB);
  EXPECT_EQ(memory.Judge(limits), Verdict::kFine);
}

TEST(WorkerMemory, EndsAtTheHardLimitAtOnce) {
  const MemoryLimits limits = {.hard = 100 * kMiB};
  WorkerMemory memory;
  memory.Take({120 * kMiB, 110 * kMiB}, limits);
  EXPECT_EQ(memory.Judge(limits), Verdict::kEnd);
  EXPECT_EQ(memory.Judge({}), Verdict::kFine) << "no limits";
}

TEST(SpareWorkers, AreWhatMemoryHasRoomFor) {
  struct Case {
    const char* why;
    MemoryRoom room;
    unsigned spare;
  };
  const Case cases[] = {
      {"nothing is known", {0, 0, 2, 2}, 2},
      {"room for many", {1000 * kMiB, 10 * kMiB, 2, 2}, 2},
      {"room for one", {15 * kMiB, 10 * kMiB, 4, 4}, 1},
      {"no room", {9 * kMiB, 10 * kMiB, 4, 4}, 0},
      {"one of those that are there is a spare one", {0, 10 * kMiB, 5, 4}, 1},
      {"not all that are wanted are there", {15 * kMiB, 10 * kMiB, 2, 4}, 0},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(SpareWorkers(one.room), one.spare) << one.why;
  }
}

}  // namespace
}  // namespace onebox::supervise
