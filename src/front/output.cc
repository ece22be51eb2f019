#include "front/output.h"

#include <algorithm>
#include <utility>

#include "os/file.h"

namespace onebox::front {
namespace {

constexpr std::size_t kReadBytes = 128 << 10;                  // of a file at once
constexpr std::uint64_t kFreedBytes = std::uint64_t{1} << 20;  // given back to the disk at once

}  // namespace

Output::~Output() {
  budget_.GiveBack(charged_);
}

bool Output::Spill(std::string_view bytes) {
  if (!spill_.file.valid()) {
    auto file = os::OpenTemporary(room_.folder);
    if (!file.ok()) return false;
    spill_ = {.file = std::move(file).value()};
  }
  if (!os::WriteAt(spill_.file, bytes, spill_.end).ok()) return false;
  spill_.end += bytes.size();
  return true;
}

// What has left goes when it is as much as what waits: a stream that is never quite sent would keep all
// that it ever was.
void Output::Compact() {
  const std::uint64_t waits = memory_.size() - memory_begin_;
  if (memory_begin_ < waits) return;
  memory_.erase(0, std::exchange(memory_begin_, 0));
  const std::uint64_t keeps = std::min(charged_, waits);
  budget_.GiveBack(std::exchange(charged_, keeps) - keeps);
}

bool Output::Append(std::string_view bytes) {
  CHECK(pieces_.empty() && !last_.file.valid());
  Compact();
  const bool fits = memory_.size() - memory_begin_ + bytes.size() <= room_.memory_max;
  if (spill_.file.valid() || !fits || !budget_.Take(bytes.size())) return Spill(bytes);
  charged_ += bytes.size();
  memory_.append(bytes);
  return true;
}

void Output::AppendPieces(Body pieces) {
  CHECK(pieces_.empty() && !last_.file.valid());
  pieces_ = std::move(pieces);
}

void Output::AppendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  CHECK(pieces_.empty() && !last_.file.valid());
  last_ = {.file = std::move(file), .begin = offset, .end = offset + size};
}

std::uint64_t Output::pending() const {
  return memory_.size() - memory_begin_ + spill_.size() + last_.size() + pieces_.size();
}

bool Output::Refill(FilePart& part) {
  const auto size = std::min<std::uint64_t>(kReadBytes, part.size());
  auto bytes = os::ReadAt(part.file, size, part.begin);
  if (!bytes.ok() || bytes.value().size() != size) return false;
  memory_ = std::move(bytes).value();
  Leave(part, size);
  return true;
}

void Output::Leave(FilePart& part, std::uint64_t bytes) {
  part.begin += bytes;
  if (part.size() == 0) {
    part = {};
  } else if (&part == &spill_ && part.begin - part.freed >= kFreedBytes) {
    // A client that stays a little behind an endless answer never empties its file.
    os::FreePart(part.file, part.freed, part.begin - part.freed);
    part.freed = part.begin;
  }
}

void Output::Advance(std::uint64_t bytes) {
  sent_ += bytes;
  const std::uint64_t of_memory = std::min<std::uint64_t>(bytes, memory_.size() - memory_begin_);
  memory_begin_ += of_memory;
  if (memory_begin_ == memory_.size()) {
    memory_.clear();
    memory_begin_ = 0;
    budget_.GiveBack(std::exchange(charged_, 0));
  }
  pieces_.Advance(bytes - of_memory);
}

void Output::Restart(Time now) {
  since_ = now;
  sent_ = 0;
}

// As much as may leave, of what stands first.
os::Moved Output::SendPart(Transport& transport, std::uint64_t bytes_max) {
  const std::string_view memory = std::string_view(memory_).substr(memory_begin_, bytes_max);
  const auto pieces = pieces_.pieces();
  const auto first = std::find_if(
      pieces.begin(), pieces.end(), [](const Piece& one) { return !one.bytes.empty(); });
  if (!memory.empty() || first == pieces.end()) return transport.Send(memory, {});
  Piece piece = *first;
  piece.bytes = piece.bytes.substr(0, bytes_max);
  return transport.Send({}, {&piece, 1});
}

std::uint64_t Output::Allowance(Time now) {
  if (!pacer_) return UINT64_MAX;
  const std::uint64_t allowance = pacer_->Allowance(now);
  held_back_ = allowance == 0;
  return allowance;
}

Output::Wrote Output::WriteOnce(Transport& transport, Time now) {
  os::Moved moved;
  if (pacer_) {
    const std::uint64_t allowance = Allowance(now);
    if (held_back_) return Wrote::kSome;
    moved = SendPart(transport, allowance);
    if (moved.state == os::Moved::State::kDone) pacer_->Sent(moved.bytes);
  } else {
    const std::span<const Piece> pieces =
        spill_.size() == 0 ? pieces_.pieces() : std::span<const Piece>();
    moved = transport.Send(std::string_view(memory_).substr(memory_begin_), pieces);
  }
  switch (moved.state) {
    case os::Moved::State::kNotNow:
      return Wrote::kSome;
    case os::Moved::State::kGone:
      return Wrote::kGone;
    case os::Moved::State::kDone:
      break;
  }
  Advance(moved.bytes);
  return Wrote::kAll;
}

Output::Wrote Output::WriteTo(Transport& transport, Time now) {
  while (pending() > 0) {
    if (memory_.empty()) {
      FilePart& part = spill_.size() > 0 ? spill_ : last_;
      if (part.size() > 0 && !Refill(part)) return Wrote::kGone;
    }
    const Wrote wrote = WriteOnce(transport, now);
    if (wrote != Wrote::kAll) return wrote;
  }
  return Wrote::kAll;
}

// From the first place that has something.
bool Output::MoveSome(std::string& out, std::uint64_t& bytes) {
  const auto read = [&](const os::Fd& file, std::uint64_t offset, std::uint64_t size) {
    const std::size_t before = out.size();
    out.resize(before + size);
    return os::ReadExactly(file, std::span(out).subspan(before), offset).ok();
  };
  if (!memory_.empty()) {
    const std::string_view waits = std::string_view(memory_).substr(memory_begin_);
    const std::string_view taken = waits.substr(0, bytes);
    out.append(taken);
    bytes -= taken.size();
    Advance(taken.size());
    return true;
  }
  if (FilePart& part = spill_.size() > 0 ? spill_ : last_; part.size() > 0) {
    const std::uint64_t size = std::min(bytes, part.size());
    if (!read(part.file, part.begin, size)) return false;
    bytes -= size;
    sent_ += size;
    Leave(part, size);
    return true;
  }
  const Piece& piece = pieces_.pieces().front();
  const std::string_view taken = piece.bytes.substr(0, bytes);
  if (piece.file == nullptr) {
    out.append(taken);
  } else if (!read(
                 *piece.file, piece.offset(), taken.size())) {  // see Piece: it may not be touched
    return false;
  }
  bytes -= taken.size();
  Advance(taken.size());
  return true;
}

bool Output::MoveTo(std::string& out, std::uint64_t bytes) {
  CHECK(bytes <= pending());
  if (pacer_) pacer_->Sent(bytes);
  while (bytes > 0) {
    if (!MoveSome(out, bytes)) return false;
  }
  return true;
}

}  // namespace onebox::front
