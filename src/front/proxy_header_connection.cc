#include "front/proxy_header_connection.h"

#include <utility>

#include <sys/epoll.h>

#include "front/shard.h"
#include "http/proxy_protocol.h"

namespace onebox::front {

ProxyHeaderConnection::ProxyHeaderConnection(Shard& shard, Transport transport, const Peer& peer)
    : ClientConnection(shard, std::move(transport), peer),
      due_(shard.now() + shard.settings().head_timeout) {}

void ProxyHeaderConnection::Pump() {
  using State = http::ProxyHeaderRead::State;
  const std::span<char> buffer = shard_.read_buffer();
  const os::Moved seen = os::Peek(transport_.socket(), buffer);
  const bool later = seen.state == os::Moved::State::kNotNow;
  if (!later && seen.bytes == 0) return Close();  // who looks whether somebody listens
  const http::ProxyHeaderRead read = http::ReadProxyHeader({buffer.data(), seen.bytes});
  if (read.state == State::kRefused) return Refuse(read.why);
  if (read.state == State::kNeedMore) {
    if (peer_done_) return Refuse("it is cut");
    return shard_.reactor().timers().Arm(*this, due_);
  }
  const os::Moved taken = os::Receive(transport_.socket(), buffer.subspan(0, read.header.size));
  if (taken.bytes != read.header.size) return Close();
  Peer client = peer_;
  if (read.header.client) {
    client.address = read.header.client;
    client.port = read.header.client_port;
  }
  CloseSocket();  // we are done with it; it is open
  shard_.AdoptBehindProxy(transport_.TakeSocket(), client);
}

void ProxyHeaderConnection::OnReady(std::uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return Close();
  if ((events & EPOLLRDHUP) != 0) peer_done_ = true;
  Pump();
}

void ProxyHeaderConnection::OnTimer() {
  Refuse("it did not arrive in time");
}

void ProxyHeaderConnection::Refuse(std::string_view why) {
  shard_.lane().Add(telemetry::Limit::kProxyHeader);
  shard_.WarnOfProxyHeader(peer_, why);
  Close();
}

void ProxyHeaderConnection::Close() {
  if (!closed()) CloseSocket();
}

}  // namespace onebox::front
