#include "shm/ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace onebox::shm {
namespace {

// What a frame of `size` bytes takes, with its mark and the rounding.
constexpr std::uint64_t FrameBytes(std::uint64_t size) {
  return sizeof(FrameMark) + ((size + 7) & ~std::uint64_t{7});
}

Error Scribbled(const char* what) {
  return {Blame::kApp, Retry::kNever, 0, what};
}

}  // namespace

RingWriter::RingWriter(RingHead& head, std::span<std::byte> bytes) : head_(head), bytes_(bytes) {
  CHECK(std::has_single_bit(bytes.size()));
}

Push RingWriter::Room(std::size_t size) const {
  CHECK(size <= FrameBytesMax(bytes_.size()));
  // Acquire: the reader has finished with the bytes that will be written over.
  const std::uint64_t used = written_ - head_.read.load(std::memory_order_acquire);
  if (used > bytes_.size()) return Push::kBroken;
  return Padding(size) + FrameBytes(size) <= bytes_.size() - used ? Push::kDone : Push::kFull;
}

bool RingWriter::AllRead() const {
  return head_.read.load(std::memory_order_acquire) == written_;
}

Push RingWriter::Write(std::span<const std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts)
    size += part.size();
  if (const Push room = Room(size); room != Push::kDone) return room;

  const std::uint64_t padding = Padding(size);
  if (padding > 0) Mark({static_cast<std::uint32_t>(padding - sizeof(FrameMark)), kPadMark});
  written_ += padding;
  Mark({static_cast<std::uint32_t>(size), kFrameMark});
  std::uint64_t at = written_ % bytes_.size() + sizeof(FrameMark);
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(&bytes_[at], part.data(), part.size());
    at += part.size();
  }
  written_ += FrameBytes(size);
  head_.written.store(written_, std::memory_order_release);
  return Push::kDone;
}

std::uint64_t RingWriter::Padding(std::size_t size) const {
  const std::uint64_t to_wrap = bytes_.size() - written_ % bytes_.size();
  return FrameBytes(size) > to_wrap ? to_wrap : 0;
}

void RingWriter::Mark(FrameMark mark) {
  std::memcpy(&bytes_[written_ % bytes_.size()], &mark, sizeof mark);
}

RingReader::RingReader(RingHead& head, std::span<std::byte> bytes) : head_(head), bytes_(bytes) {
  CHECK(std::has_single_bit(bytes.size()));
}

Result<std::optional<std::string_view>> RingReader::Next() {
  for (;;) {
    // Acquire: the frame's bytes are there before its position is.
    const std::uint64_t waiting = head_.written.load(std::memory_order_acquire) - read_;
    if (waiting == 0) return std::optional<std::string_view>();
    if (waiting > bytes_.size() || waiting % 8 != 0) {
      return Scribbled("a ring's position is impossible");
    }
    const std::uint64_t place = read_ % bytes_.size();
    const std::uint64_t contiguous = std::min<std::uint64_t>(waiting, bytes_.size() - place);
    FrameMark mark{};
    std::memcpy(&mark, &bytes_[place], sizeof mark);
    const std::uint64_t taken = FrameBytes(mark.size);
    if (taken > contiguous) return Scribbled("a frame in a ring is longer than the ring's content");
    if (mark.kind == kFrameMark) {
      held_ = taken;
      if (mark.size == 0) return std::optional(std::string_view());
      const std::byte* const begin = &bytes_[place + sizeof mark];
      return std::optional(std::string_view(reinterpret_cast<const char*>(begin), mark.size));
    }
    if (mark.kind != kPadMark || place + taken != bytes_.size()) {
      return Scribbled("a ring holds something that is not a frame");
    }
    read_ += taken;  // stored with the next frame's Release(): padding alone helps no writer
  }
}

void RingReader::Release() {
  read_ += held_;
  held_ = 0;
  // Release: we have read before the writer writes there again.
  head_.read.store(read_, std::memory_order_release);
}

bool RingReader::Empty() const {
  return head_.written.load(std::memory_order_acquire) == read_;
}

}  // namespace onebox::shm
