#pragma once
// RingWriter, RingReader: frames through a ring in memory that two processes share.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace onebox::shm {

// Positions run freely and never wrap: the place in the ring is position % size. Both begin at 0
// and are multiples of 8.
struct RingHead {
  alignas(64) std::atomic<std::uint64_t> written;  // stored by the writer alone
  alignas(64) std::atomic<std::uint64_t> read;     // stored by the reader alone
};

// Before each frame; a frame and its head are contiguous, rounded up to 8 bytes.
struct FrameMark {
  std::uint32_t size;  // of what follows, without the rounding
  std::uint32_t kind;  // kFrameMark, or kPadMark: skip to the ring's beginning
};
inline constexpr std::uint32_t kFrameMark = 0x454d5246;  // "FRME"
inline constexpr std::uint32_t kPadMark = 0x20444150;    // "PAD "
static_assert(sizeof(FrameMark) == 8);

// The largest frame that an empty ring takes at every position.
constexpr std::size_t FrameBytesMax(std::size_t ring_bytes) {
  return ring_bytes / 2 - sizeof(FrameMark);
}

enum class Push : unsigned char { kDone, kFull, kBroken };

// One thread writes. The other side may scribble over everything: then Write() says kBroken, and
// no byte outside the ring is touched. `bytes` is a power of two in size, 8-aligned.
class RingWriter final {
 public:
  RingWriter(RingHead& head, std::span<std::byte> bytes);

  // One frame of all parts together, up to FrameBytesMax; the reader sees all of it or nothing.
  Push Write(std::span<const std::string_view> parts);
  // Whether Write() of `size` bytes would be done now. Room only grows until this side writes.
  Push Room(std::size_t size) const;
  // Whether the reader has given back every frame, as far as can be seen.
  bool AllRead() const;

 private:
  std::uint64_t Padding(std::size_t size) const;  // before a frame of that size, to the ring's end
  void Mark(FrameMark mark);

  RingHead& head_;
  std::span<std::byte> bytes_;
  std::uint64_t written_ = 0;
};

// One thread reads. An Error means that the writer is not a RingWriter; it stays one.
class RingReader final {
 public:
  RingReader(RingHead& head, std::span<std::byte> bytes);

  // The oldest frame, which stays until Release(); nothing where none waits. Its bytes lie in
  // shared memory and may change while they are read.
  Result<std::optional<std::string_view>> Next();
  // Gives the frame of the last Next() back to the writer.
  void Release();
  // Whether nothing waits, as far as can be seen.
  bool Empty() const;

 private:
  RingHead& head_;
  std::span<std::byte> bytes_;
  std::uint64_t read_ = 0;
  std::uint64_t held_ = 0;  // bytes of the frame that Next() gave
};

}  // namespace onebox::shm
