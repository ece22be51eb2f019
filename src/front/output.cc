#include "front/output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "os/file.h"

namespace onebox::front {
namespace {

constexpr std::size_t kReadBytes = 128 << 10;  // of a file at once
constexpr std::size_t kPartsMax = 16;          // of one write

}  // namespace

Output::~Output() {
  budget_.GiveBack(charged_);
}

bool Output::Spill(std::string_view bytes) {
  if (!file_.valid()) {
    auto file = os::OpenTemporary(room_.folder);
    if (!file.ok()) return false;
    file_ = std::move(file).value();
    file_begin_ = file_end_ = 0;
    file_is_spill_ = true;
  }
  if (!os::WriteAt(file_, bytes, file_end_).ok()) return false;
  file_end_ += bytes.size();
  return true;
}

bool Output::Append(std::string_view bytes) {
  CHECK(pieces_.empty() && (!file_.valid() || file_is_spill_));
  const bool fits = memory_.size() - memory_begin_ + bytes.size() <= room_.memory_max;
  if (file_.valid() || !fits || !budget_.Take(bytes.size())) return Spill(bytes);
  charged_ += bytes.size();
  memory_.append(bytes);
  return true;
}

void Output::AppendPieces(Body pieces) {
  CHECK(!file_.valid());
  pieces_ = std::move(pieces);
}

void Output::AppendFile(os::Fd file, std::uint64_t offset, std::uint64_t size) {
  CHECK(!file_.valid() && pieces_.empty());
  file_ = std::move(file);
  file_begin_ = offset;
  file_end_ = offset + size;
}

std::uint64_t Output::pending() const {
  return memory_.size() - memory_begin_ + pieces_.size() + (file_end_ - file_begin_);
}

bool Output::Refill() {
  const auto size = std::min<std::uint64_t>(kReadBytes, file_end_ - file_begin_);
  auto bytes = os::ReadAt(file_, size, file_begin_);
  if (!bytes.ok() || bytes.value().size() != size) return false;
  memory_ = std::move(bytes).value();
  file_begin_ += size;
  if (file_begin_ == file_end_ && file_is_spill_) {
    file_.Reset();
    file_begin_ = file_end_ = 0;
  }
  return true;
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

Output::Wrote Output::WriteOnce(const os::Fd& socket) {
  std::array<iovec, kPartsMax> parts{};
  std::size_t count = 0;
  const auto add = [&](std::string_view bytes) {
    if (!bytes.empty()) parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
  };
  const std::string_view waiting = memory_;
  add(waiting.substr(memory_begin_));
  for (const Piece& piece : pieces_.pieces()) {
    if (count == kPartsMax) break;
    add(piece.bytes);
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const ssize_t sent = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR ? Wrote::kSome : Wrote::kGone;
  Advance(static_cast<std::uint64_t>(sent));
  return Wrote::kAll;
}

Output::Wrote Output::WriteTo(const os::Fd& socket) {
  while (pending() > 0) {
    if (memory_.empty() && file_end_ > file_begin_ && !Refill()) return Wrote::kGone;
    const Wrote wrote = WriteOnce(socket);
    if (wrote != Wrote::kAll) return wrote;
  }
  return Wrote::kAll;
}

}  // namespace onebox::front
