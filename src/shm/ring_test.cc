#include "shm/ring.h"

#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

namespace onebox::shm {
namespace {

constexpr std::size_t kSize = 256;

// A ring in plain memory, exactly as large as it says: the address sanitizer sees a byte too many.
struct Ring {
  RingHead head{};
  std::vector<std::byte> bytes = std::vector<std::byte>(kSize);
  RingWriter writer{head, bytes};
  RingReader reader{head, bytes};

  Push Write(std::string_view text) { return writer.Write(std::array{text}); }
  // The next frame, released; "-" where none waits, "!" for an Error.
  std::string Read() {
    const auto next = reader.Next();
    if (!next.ok()) return "!";
    if (!next.value()) return "-";
    std::string text(*next.value());
    reader.Release();
    return text;
  }
  void Mark(std::size_t at, FrameMark mark) { std::memcpy(&bytes[at], &mark, sizeof mark); }
};

TEST(Ring, GivesFramesBackInOrder) {
  Ring ring;
  EXPECT_EQ(ring.Read(), "-");
  EXPECT_TRUE(ring.reader.Empty());
  EXPECT_EQ(ring.Write("one"), Push::kDone);
  EXPECT_EQ(ring.Write(""), Push::kDone);
  EXPECT_EQ(ring.Write("three"), Push::kDone);
  EXPECT_FALSE(ring.reader.Empty());
  EXPECT_EQ(ring.Read(), "one");
  EXPECT_EQ(ring.Read(), "");
  EXPECT_EQ(ring.Read(), "three");
  EXPECT_EQ(ring.Read(), "-");
  EXPECT_TRUE(ring.reader.Empty());
}

TEST(Ring, JoinsThePartsOfAFrame) {
  Ring ring;
  EXPECT_EQ(ring.writer.Write(std::array<std::string_view, 3>{"a", "", "bc"}), Push::kDone);
  EXPECT_EQ(ring.Read(), "abc");
}

TEST(Ring, AFrameStaysUntilItIsReleased) {
  Ring ring;
  ring.Write("one");
  EXPECT_EQ(*ring.reader.Next().value(), "one");
  EXPECT_EQ(*ring.reader.Next().value(), "one");
  ring.reader.Release();
  EXPECT_EQ(ring.Read(), "-");
}

TEST(Ring, TakesFramesOfEverySizeAtEveryPosition) {
  for (std::size_t size = 0; size <= FrameBytesMax(kSize); ++size) {
    Ring ring;
    for (std::size_t turn = 0; turn < 2 * kSize; ++turn) {
      SCOPED_TRACE(testing::Message() << size << " bytes, turn " << turn);
      const std::string text(turn % 3 == 0 ? size : turn % 17, static_cast<char>('a' + turn % 26));
      ASSERT_EQ(ring.Write(text), Push::kDone);
      ASSERT_EQ(ring.Read(), text);
    }
  }
}

TEST(Ring, IsFullUntilTheReaderReleases) {
  Ring ring;
  const std::string frame(56, 'x');  // 64 bytes with its mark: four fit
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(ring.Write(frame), Push::kDone);
  EXPECT_EQ(ring.Write(""), Push::kFull);
  ASSERT_TRUE(ring.reader.Next().value());
  EXPECT_EQ(ring.Write(frame), Push::kFull);
  ring.reader.Release();
  EXPECT_EQ(ring.Write(frame), Push::kDone);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(ring.Read(), frame);
  EXPECT_EQ(ring.Read(), "-");
}

TEST(Ring, AReaderRefusesWhatNoWriterWrites) {
  const struct {
    const char* why;
    std::uint64_t written;
    FrameMark mark;
  } cases[] = {
      {"more than the ring holds", kSize + 8, {8, kFrameMark}},
      {"before the beginning", ~std::uint64_t{7}, {8, kFrameMark}},
      {"not a multiple of 8", 12, {4, kFrameMark}},
      {"a frame longer than what is written", 16, {9, kFrameMark}},
      {"a frame longer than the ring", kSize, {kSize, kFrameMark}},
      {"the largest size there is", kSize, {0xffffffff, kFrameMark}},
      {"padding that does not end at the ring's end", 16, {8, kPadMark}},
      {"padding longer than the ring", kSize, {0xffffffff, kPadMark}},
      {"neither a frame nor padding", 16, {8, 0}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    Ring ring;
    ring.Mark(0, c.mark);
    ring.head.written = c.written;
    EXPECT_EQ(ring.Read(), "!");
    EXPECT_EQ(ring.Read(), "!");
  }
}

TEST(Ring, AWriterNoticesAnImpossibleReader) {
  Ring ring;
  ring.Write("one");
  for (const std::uint64_t read : {std::uint64_t{24}, std::uint64_t{1} << 40U}) {
    ring.head.read = read;
    EXPECT_EQ(ring.Write("two"), Push::kBroken);
  }
}

TEST(Ring, CarriesManyFramesBetweenTwoThreads) {
  Ring ring;
  constexpr int kFrames = 20'000;
  std::thread writer([&ring] {
    for (int i = 0; i < kFrames;) {
      if (ring.Write(std::to_string(i) + std::string(static_cast<std::size_t>(i % 60), '.')) ==
          Push::kDone) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (int i = 0; i < kFrames;) {
    const std::string text = ring.Read();
    if (text == "-") {
      std::this_thread::yield();
      continue;
    }
    const std::string expected =
        std::to_string(i) + std::string(static_cast<std::size_t>(i % 60), '.');
    EXPECT_EQ(text, expected);
    if (text != expected) break;
    ++i;
  }
  writer.join();
}

}  // namespace
}  // namespace onebox::shm
