#include "shm/undo_log.h"

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace onebox::shm {
namespace {

constexpr std::size_t kBytes = 256;

// Memory that is exactly as large as it says: the address sanitizer sees a byte too many.
struct Memory {
  std::vector<std::byte> bytes = std::vector<std::byte>(kBytes);
  UndoLog log;

  Memory() {
    for (std::size_t i = 0; i < kBytes; ++i)
      bytes[i] = static_cast<std::byte>(i);
  }
  template <typename Word>
  Word& At(std::size_t at) {
    return *reinterpret_cast<Word*>(&bytes[at]);
  }
};

using Step = std::function<void(Memory&, Mutation&)>;

void Write(Memory& memory, Mutation& mutation, std::size_t at, std::size_t size) {
  const std::string text(size, 'w');
  mutation.Write(&memory.bytes[at], std::as_bytes(std::span(text)));
}

std::vector<Step> Steps() {
  struct Pair {
    std::uint32_t one, two;
  };
  std::vector<Step> steps = {
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint8_t>(0), 200); },
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint16_t>(2), 60000); },
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint32_t>(4), 1U); },
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint64_t>(8), ~0ULL); },
      [](Memory& memory, Mutation& mutation) {
        mutation.Set(memory.At<Pair>(16), {7, 8});
      },
      // The same word, and parts of it, once more.
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint64_t>(8), 5U); },
      [](Memory& memory, Mutation& mutation) { mutation.Set(memory.At<std::uint8_t>(11), 6); },
      [](Memory& memory, Mutation& mutation) {
        mutation.Set(memory.At<std::uint8_t>(kBytes - 1), 1);
      },
  };
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 100U})
    steps.emplace_back(
        [size](Memory& memory, Mutation& mutation) { Write(memory, mutation, 33, size); });
  return steps;
}

TEST(Mutation, StandsWhenItHasEnded) {
  Memory memory;
  {
    Mutation mutation(memory.log, memory.bytes);
    mutation.Set(memory.At<std::uint32_t>(0), 1U);
    Write(memory, mutation, 100, 20);
    EXPECT_FALSE(memory.log.Empty());
  }
  EXPECT_TRUE(memory.log.Empty());
  const auto after = memory.bytes;
  EXPECT_TRUE(memory.log.Undo(memory.bytes));
  EXPECT_EQ(memory.bytes, after);
  EXPECT_EQ(memory.At<std::uint32_t>(0), 1U);
  EXPECT_EQ(memory.bytes[119], std::byte{'w'});
  EXPECT_EQ(memory.bytes[120], std::byte{120});
}

TEST(Mutation, IsUndoneAfterEachOfItsSteps) {
  const Memory before;
  const auto steps = Steps();
  for (std::size_t done = 0; done <= steps.size(); ++done) {
    SCOPED_TRACE(done);
    Memory memory;
    std::optional<Mutation> mutation(std::in_place, memory.log, memory.bytes);
    for (std::size_t i = 0; i < done; ++i)
      steps[i](memory, *mutation);
    // Its maker dies; the next finds what it has left.
    Memory found = memory;
    EXPECT_TRUE(found.log.Undo(found.bytes));
    EXPECT_EQ(found.bytes, before.bytes);
    EXPECT_TRUE(found.log.Empty());
  }
}

TEST(Mutation, IsUndoneWhereWhoUndidItHasDiedToo) {
  const Memory before;
  Memory memory;
  Mutation mutation(memory.log, memory.bytes);
  for (const auto& step : Steps())
    step(memory, mutation);
  Memory found = memory;
  found.log.Undo(found.bytes);
  // All of it, but for its last word.
  found.log = memory.log;
  found.log.Undo(found.bytes);
  EXPECT_EQ(found.bytes, before.bytes);
  // A part of it: any bytes that a step has changed may be as they were, or not yet.
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    Memory half = memory;
    for (std::size_t at = random() % kBytes; at < kBytes; ++at)
      half.bytes[at] = before.bytes[at];
    half.log.Undo(half.bytes);
    ASSERT_EQ(half.bytes, before.bytes);
  }
}

TEST(Mutation, SaysHowMuchItTakes) {
  Memory memory;
  Mutation mutation(memory.log, memory.bytes);
  EXPECT_EQ(mutation.Left(), UndoLog::kChangesMax);
  Write(memory, mutation, 0, 17);
  EXPECT_EQ(mutation.Left(), UndoLog::kChangesMax - 3);
}

TEST(MutationDeath, OfTooManyWordsIsABug) {
  const auto change_all = [](std::size_t words) {
    Memory memory;
    Mutation mutation(memory.log, memory.bytes);
    for (std::size_t i = 0; i < words; ++i)
      mutation.Set(memory.At<std::uint8_t>(i % kBytes), 0);
  };
  change_all(UndoLog::kChangesMax);
  EXPECT_DEATH(change_all(UndoLog::kChangesMax + 1), "Left");
}

TEST(Mutation, GoesOnInItsBoundsWhereItsLogIsScribbledOver) {
  Memory memory;
  Mutation mutation(memory.log, memory.bytes);
  std::memset(static_cast<void*>(&memory.log), 0xff, sizeof memory.log);
  mutation.Set(memory.At<std::uint32_t>(0), 1U);
  EXPECT_EQ(memory.At<std::uint32_t>(0), 1U);
}

// A log as somebody may have scribbled it: this is what lies there.
struct RawChange {
  std::uint32_t offset, size;
  std::uint64_t old;
};
struct RawLog {
  std::uint32_t count = 0, unused = 0;
  std::array<RawChange, UndoLog::kChangesMax> changes{};
};
static_assert(sizeof(RawLog) == sizeof(UndoLog));

TEST(UndoLog, ThatIsScribbledOverWritesNowhereElse) {
  constexpr auto kOld = 0x1111'1111'1111'1111ULL;
  struct Case {
    const char* why;
    std::uint32_t count, offset, size;
    bool makes_sense;
  };
  const Case cases[] = {
      {"as it should be", 1, 0, 8, true},
      {"at the end", 1, kBytes - 8, 8, true},
      {"nothing at the end", 1, kBytes, 0, true},
      {"one byte behind the end", 1, kBytes - 7, 8, false},
      {"behind the end", 1, kBytes + 1, 0, false},
      {"far behind the end", 1, 0xffff'fff8, 8, false},
      {"too long", 1, 0, 9, false},
      {"far too long", 1, 8, 0xffff'ffff, false},
      {"too many", UndoLog::kChangesMax + 1, 0, 8, false},
      {"far too many", 0xffff'ffff, 0, 8, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Memory memory;
    RawLog raw{.count = c.count};
    raw.changes[0] = {c.offset, c.size, kOld};
    std::memcpy(static_cast<void*>(&memory.log), &raw, sizeof raw);
    EXPECT_EQ(memory.log.Undo(memory.bytes), c.makes_sense);
    EXPECT_TRUE(memory.log.Empty());
  }
}

TEST(UndoLog, OfRandomBytesWritesNowhereElseAndEnds) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  // In its own memory, as in a shard.
  struct Shared {
    std::array<std::byte, 64> before = {};
    UndoLog log;
    std::array<std::byte, 64> behind = {};
  };
  for (int round = 0; round < 2'000; ++round) {
    const auto shared = std::make_unique<Shared>();
    RawLog raw{.count = static_cast<std::uint32_t>(random())};
    if (round % 2 == 0) raw.count %= UndoLog::kChangesMax;
    for (auto& change : raw.changes) {
      change = {
          static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()), random()};
      if (random() % 2 == 0) change.size %= 10;
      if (random() % 4 > 0) change.offset %= 2 * sizeof(Shared);
    }
    std::memcpy(static_cast<void*>(&shared->log), &raw, sizeof raw);
    shared->log.Undo({reinterpret_cast<std::byte*>(shared.get()), sizeof(Shared)});
    ASSERT_TRUE(shared->log.Empty());
  }
}

}  // namespace
}  // namespace onebox::shm
