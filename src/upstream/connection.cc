#include "upstream/connection.h"

#include <algorithm>
#include <utility>

#include <sys/epoll.h>

#include "os/error.h"
#include "os/file.h"

namespace onebox::upstream {
namespace {

constexpr std::size_t kEncryptedMax = 64 << 10;  // of plaintext that is encrypted ahead
constexpr std::size_t kRecordBytes = 16 << 10;
// A session keeps less than 17 KiB of a record, and gives it back with what completes it.
static_assert(Connection::kScratchBytes >= kRecordBytes + (17 << 10) + kRecordBytes);

}  // namespace

Result<std::unique_ptr<Connection>> Connection::Begin(event::Reactor& reactor,
                                                      const os::SocketAddress& address,
                                                      const std::optional<Tls>& tls) {
  std::unique_ptr<Connection> connection(new Connection(reactor, TRY(os::BeginConnect(address))));
  if (tls) {
    connection->tls_ =
        std::make_unique<tls::Session>(tls->context, tls->host, reactor.clock().WallNow());
    connection->scratch_ = tls->scratch;
    connection->tls_->Start(connection->encrypted_);
  }
  TRY(reactor.Watch(connection->socket_.get(), *connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP));
  return connection;
}

Connection::~Connection() {
  reactor_.Unwatch(socket_.get(), *this);
}

void Connection::Break(std::string why) {
  state_ = State::kBroken;
  failure_ = std::move(why);
}

void Connection::OnReady(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if (state_ == State::kConnecting && !of_tls_) {
    if (const int error = os::ConnectFailure(socket_); error != 0) {
      Break(os::ErrorText(error));
    } else if ((events & EPOLLOUT) != 0) {
      of_tls_ = tls_ != nullptr;
      if (!of_tls_) state_ = State::kOpen;
    }
  }
  if (state_ == State::kConnecting && of_tls_) {
    ShakeHands();
  } else if (tls_ != nullptr && state_ == State::kOpen) {
    Flush();
  }
  if (user_ != nullptr) user_->OnReady();
}

os::Moved Connection::ReceiveRaw(std::span<char> buffer) {
  const os::Moved moved = os::Receive(socket_, buffer);
  const bool more = moved.state == os::Moved::State::kDone && moved.bytes == buffer.size();
  // A short read has emptied the socket; what comes later is a new edge.
  readable_ = more || (ended_ && moved.state == os::Moved::State::kDone && moved.bytes > 0);
  return moved;
}

os::Moved Connection::Receive(std::span<char> buffer) {
  return tls_ == nullptr ? ReceiveRaw(buffer) : Decrypt(buffer);
}

os::Moved Connection::Send(std::span<const std::string_view> parts) {
  return tls_ == nullptr ? os::Send(socket_, parts) : Encrypt(parts);
}

os::Moved Connection::SendFile(const os::Fd& file, std::uint64_t offset, std::size_t size) {
  if (tls_ == nullptr) return os::SendFile(socket_, file, offset, size);
  const auto bytes = os::ReadAt(file, std::min(size, kEncryptedMax), offset);
  if (!bytes.ok() || bytes.value().empty()) return {os::Moved::State::kGone, 0};
  const std::string_view part = bytes.value();
  return Encrypt(std::span(&part, 1));
}

void Connection::EndSending() {
  if (tls_ != nullptr) {
    tls_->End(encrypted_);
    Flush();
  }
  os::EndSending(socket_);
}

// --- TLS

// False where the other side takes nothing any more.
bool Connection::Flush() {
  while (!encrypted_.empty()) {
    const std::string_view part = encrypted_;
    const os::Moved moved = os::Send(socket_, std::span(&part, 1));
    if (moved.state == os::Moved::State::kGone) return false;
    if (moved.state == os::Moved::State::kNotNow) return true;
    encrypted_.erase(0, moved.bytes);
  }
  return true;
}

void Connection::ShakeHands() {
  using Session = tls::Session::State;
  const std::span<char> raw = scratch_.first(kRecordBytes);
  const std::span<char> plaintext = scratch_.subspan(kRecordBytes);
  while (tls_->state() == Session::kHandshake && readable_) {
    const os::Moved moved = ReceiveRaw(raw);
    if (moved.state == os::Moved::State::kNotNow) break;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) {
      return Break("it closed in the middle of the handshake");
    }
    if (tls_->Receive({raw.data(), moved.bytes}, plaintext, encrypted_) > 0) {
      return Break("it spoke before it was asked");
    }
  }
  const bool sent = Flush();
  if (tls_->state() == Session::kFailed) return Break(tls_->FailureText());
  if (!sent) return Break("it closed in the middle of the handshake");
  if (tls_->state() == Session::kOpen) state_ = State::kOpen;
}

os::Moved Connection::Decrypt(std::span<char> buffer) {
  using Tried = os::Moved::State;
  for (;;) {
    const std::size_t room =
        std::min(scratch_.size(), buffer.size() - std::min(buffer.size(), tls_->held()));
    if (tls_->state() == tls::Session::State::kEnded) return {Tried::kDone, 0};
    if (tls_->state() == tls::Session::State::kFailed || room == 0) return {Tried::kGone, 0};
    const os::Moved moved = ReceiveRaw(scratch_.subspan(0, room));
    if (moved.state != Tried::kDone) return moved;
    // An end that nobody has announced may be forged.
    if (moved.bytes == 0) return {Tried::kGone, 0};
    const std::size_t size = tls_->Receive({scratch_.data(), moved.bytes}, buffer, encrypted_);
    Flush();
    if (tls_->state() == tls::Session::State::kEnded) readable_ = true;
    if (size > 0) return {Tried::kDone, size};
    if (!readable_) return {Tried::kNotNow, 0};
  }
}

os::Moved Connection::Encrypt(std::span<const std::string_view> parts) {
  using Tried = os::Moved::State;
  if (!Flush()) return {Tried::kGone, 0};
  if (!encrypted_.empty()) return {Tried::kNotNow, 0};
  std::size_t taken = 0;
  for (std::string_view part : parts) {
    part = part.substr(0, kEncryptedMax - taken);
    if (!part.empty() && !tls_->Send(part, encrypted_)) return {Tried::kGone, 0};
    taken += part.size();
  }
  return {Flush() ? Tried::kDone : Tried::kGone, taken};
}

}  // namespace onebox::upstream
