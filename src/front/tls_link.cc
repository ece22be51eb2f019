#include "front/tls_link.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "os/file.h"

namespace onebox::front {
namespace {

constexpr std::size_t kRecordBytes = 16 << 10;  // of plaintext: the protocol's most
constexpr std::size_t kSendBytes = 64 << 10;    // of plaintext in one system call
constexpr std::size_t kWaitingMax = 256 << 10;  // a client that asks and does not read
constexpr int kReadsMax = 16;                   // without a byte for us, in one turn

}  // namespace

TlsLink::~TlsLink() {
  budget_.GiveBack(waiting_.size());
}

// --- in

TlsLink::Step TlsLink::Handshake(const os::Fd& socket) {
  using State = tls::Session::State;
  while (session_.state() == State::kHandshake) {
    const os::Moved moved = os::Receive(socket, room_.received);
    if (moved.state == os::Moved::State::kNotNow) break;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return Step::kFailed;
    room_.sealed.clear();
    const std::size_t size =
        session_.Receive({room_.received.data(), moved.bytes}, room_.opened, room_.sealed);
    early_.append(room_.opened.data(), size);
    const os::Moved::State sent = SendSealed(socket);
    if (session_.state() == State::kFailed || sent == os::Moved::State::kGone) return Step::kFailed;
  }
  const os::Moved::State flushed = SendWaiting(socket);
  if (flushed == os::Moved::State::kGone) return Step::kFailed;
  const bool open = session_.state() != State::kHandshake;
  return open && flushed == os::Moved::State::kDone ? Step::kOpen : Step::kNotNow;
}

os::Moved TlsLink::Receive(const os::Fd& socket, std::span<char> buffer) {
  using Moved = os::Moved;
  emptied_ = false;
  if (!early_.empty()) {
    const std::size_t size = std::min(early_.size(), buffer.size());
    std::memcpy(buffer.data(), early_.data(), size);
    early_.erase(0, size);
    if (early_.empty()) std::string().swap(early_);
    return {Moved::State::kDone, size};
  }
  for (int reads = 0; reads < kReadsMax; ++reads) {
    if (session_.state() == tls::Session::State::kEnded) return {};
    if (session_.state() == tls::Session::State::kFailed) return {Moved::State::kGone};
    const std::size_t room = std::min(room_.received.size(), buffer.size() - session_.held());
    const Moved moved = os::Receive(socket, std::span(room_.received).first(room));
    if (moved.state != Moved::State::kDone || moved.bytes == 0) return moved;
    room_.sealed.clear();
    const std::size_t size =
        session_.Receive({room_.received.data(), moved.bytes}, buffer, room_.sealed);
    if (SendSealed(socket) == Moved::State::kGone) return {Moved::State::kGone};
    emptied_ = moved.bytes < room && session_.state() == tls::Session::State::kOpen;
    if (size > 0) return {Moved::State::kDone, size};
    if (emptied_) return {Moved::State::kNotNow};
  }
  return {Moved::State::kGone};  // records that carry nothing, one after the other
}

// --- out

// What is sealed goes behind what waits.
os::Moved::State TlsLink::SendSealed(const os::Fd& socket) {
  std::string_view rest = room_.sealed;
  if (waiting_.empty() && !rest.empty()) {
    const os::Moved moved = os::Send(socket, {&rest, 1});
    if (moved.state == os::Moved::State::kGone) return moved.state;
    rest.remove_prefix(moved.bytes);
  }
  if (rest.empty()) return waiting_.empty() ? os::Moved::State::kDone : os::Moved::State::kNotNow;
  if (waiting_.size() + rest.size() > kWaitingMax) return os::Moved::State::kGone;
  if (!budget_.Take(rest.size())) return os::Moved::State::kGone;
  waiting_.append(rest);
  return os::Moved::State::kNotNow;
}

os::Moved::State TlsLink::SendWaiting(const os::Fd& socket) {
  while (!waiting_.empty()) {
    const std::string_view rest = waiting_;
    const os::Moved moved = os::Send(socket, {&rest, 1});
    if (moved.state != os::Moved::State::kDone) return moved.state;
    waiting_.erase(0, moved.bytes);
    budget_.GiveBack(moved.bytes);
    if (waiting_.empty()) std::string().swap(waiting_);
  }
  return os::Moved::State::kDone;
}

os::Moved TlsLink::Send(const os::Fd& socket,
                        std::string_view first,
                        std::span<const Piece> pieces) {
  using Moved = os::Moved;
  if (const Moved::State sent = SendWaiting(socket); sent != Moved::State::kDone) return {sent};
  if (promised_ > 0) return {Moved::State::kDone, TakePromised(first, pieces)};
  room_.sealed.clear();
  room_.record.clear();
  std::size_t left = kSendBytes;
  const bool sealed =
      SealBytes(first.substr(0, left), left) && SealPieces(pieces, left) && SealRecord();
  if (!sealed) return {Moved::State::kGone};
  const std::size_t size = kSendBytes - left;
  const Moved::State sent = SendSealed(socket);
  if (sent == Moved::State::kDone) return {sent, size};
  promised_ = size;
  return {sent};
}

// Of what was sealed before and has left now, as much as is asked for again: a pace may ask for less.
std::size_t TlsLink::TakePromised(std::string_view first, std::span<const Piece> pieces) {
  std::size_t asked = first.size();
  for (const Piece& piece : pieces)
    asked += piece.bytes.size();
  const std::size_t taken = std::min(promised_, asked);
  promised_ -= taken;
  return taken;
}

bool TlsLink::SealPieces(std::span<const Piece> pieces, std::size_t& left) {
  for (const Piece& piece : pieces) {
    if (left == 0) break;
    const std::string_view bytes = piece.bytes.substr(0, left);
    if (piece.file == nullptr) {
      if (!SealBytes(bytes, left)) return false;
      continue;
    }
    // What is mapped may not be touched: its file may be cut short at any time.
    const auto read = os::ReadAt(*piece.file, bytes.size(), piece.offset());
    if (!read.ok() || read.value().size() != bytes.size()) return false;
    if (!SealBytes(read.value(), left)) return false;
  }
  return true;
}

// Full records as they are; what is less is put together with what follows.
bool TlsLink::SealBytes(std::string_view bytes, std::size_t& left) {
  left -= bytes.size();
  while (!bytes.empty()) {
    if (room_.record.empty() && bytes.size() >= kRecordBytes) {
      const std::size_t whole = bytes.size() - bytes.size() % kRecordBytes;
      if (!session_.Send(bytes.substr(0, whole), room_.sealed)) return false;
      bytes.remove_prefix(whole);
      continue;
    }
    const std::string_view part = bytes.substr(0, kRecordBytes - room_.record.size());
    room_.record.append(part);
    bytes.remove_prefix(part.size());
    if (room_.record.size() == kRecordBytes && !SealRecord()) return false;
  }
  return true;
}

bool TlsLink::SealRecord() {
  const bool sealed = room_.record.empty() || session_.Send(room_.record, room_.sealed);
  room_.record.clear();
  return sealed;
}

void TlsLink::SayGoodbye(const os::Fd& socket) {
  room_.sealed.clear();
  session_.End(room_.sealed);
  if (waiting_.empty()) (void)SendSealed(socket);
}

}  // namespace onebox::front
