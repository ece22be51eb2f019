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

void ClientConnection::Unregister() {
  CHECK(!closed_);
  closed_ = true;
  shard_.reactor().timers().Disarm(*this);
  if (registered_) shard_.reactor().Unwatch(transport_.socket().get(), *this);
}

Transport ClientConnection::GiveUp() {
  Unregister();
  return std::move(transport_);
}

void ClientConnection::CloseSocket() {
  Unregister();
  shard_.Doom(*this);
}

}  // namespace onebox::front
