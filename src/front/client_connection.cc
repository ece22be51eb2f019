#include "front/client_connection.h"

#include <utility>

#include <sys/epoll.h>

#include "front/shard.h"

namespace onebox::front {

ClientConnection::ClientConnection(Shard& shard, Transport transport, const Peer& peer)
    : shard_(shard), peer_(peer), transport_(std::move(transport)) {}

void ClientConnection::Start() {
  readable_ = true;  // TCP_DEFER_ACCEPT: there are bytes
  Pump();
  if (!closed() && !Register()) {
    shard_.lane().Add(telemetry::Limit::kDescriptors);
    Close();
  }
}

bool ClientConnection::Register() {
  if (registered_) return true;
  registered_ = shard_.reactor()
                    .Watch(transport_.socket().get(), *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP)
                    .ok();
  return registered_;
}

bool ClientConnection::DiscardInput() {
  const std::span<char> buffer = shard_.read_buffer();
  for (int reads = 0; reads < 16; ++reads) {
    const os::Moved moved = transport_.Receive(buffer);
    if (moved.state == os::Moved::State::kNotNow) return true;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return false;
  }
  return false;  // it goes on sending
}

void ClientConnection::Unregister() {
  CHECK(!closed_);
  closed_ = true;
  shard_.reactor().timers().Disarm(*this);
  if (registered_) shard_.reactor().Unwatch(transport_.socket().get(), *this);
}

void ClientConnection::CloseSocket() {
  Unregister();
  shard_.Doom(*this);
}

Transport ClientConnection::GiveUp() {
  Unregister();
  return std::move(transport_);
}

}  // namespace onebox::front
