#include "upstream/connection.h"

#include <utility>

#include <sys/epoll.h>

namespace onebox::upstream {

Result<std::unique_ptr<Connection>> Connection::Begin(event::Reactor& reactor,
                                                      const os::SocketAddress& address) {
  std::unique_ptr<Connection> connection(new Connection(reactor, TRY(os::BeginConnect(address))));
  TRY(reactor.Watch(connection->socket_.get(), *connection, EPOLLIN | EPOLLOUT | EPOLLRDHUP));
  return connection;
}

Connection::~Connection() {
  reactor_.Unwatch(socket_.get(), *this);
}

void Connection::OnReady(std::uint32_t events) {
  if (state_ == State::kConnecting) {
    failure_ = os::ConnectFailure(socket_);
    if (failure_ != 0) {
      state_ = State::kBroken;
    } else if ((events & EPOLLOUT) != 0) {
      state_ = State::kOpen;
    }
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if (user_ != nullptr) user_->OnReady();
}

os::Moved Connection::Receive(std::span<char> buffer) {
  const os::Moved moved = os::Receive(socket_, buffer);
  const bool more = moved.state == os::Moved::State::kDone && moved.bytes == buffer.size();
  // A short read has emptied the socket; what comes later is a new edge.
  readable_ = more || (ended_ && moved.state == os::Moved::State::kDone && moved.bytes > 0);
  return moved;
}

os::Moved Connection::Send(std::span<const std::string_view> parts) {
  return os::Send(socket_, parts);
}

os::Moved Connection::SendFile(const os::Fd& file, std::uint64_t offset, std::size_t size) {
  return os::SendFile(socket_, file, offset, size);
}

}  // namespace onebox::upstream
