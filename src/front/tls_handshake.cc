#include "front/tls_handshake.h"

#include <string_view>
#include <utility>

#include <sys/epoll.h>

#include "front/shard.h"

namespace onebox::front {
namespace {

constexpr std::string_view kPlainAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 51\r\nConnection: close\r\n\r\n"
    "400 Bad Request\nthis address speaks https, not http";

telemetry::Handshake ResultOf(tls::Failure failure) {
  // The failures have the order of tls::Failure, without its first.
  constexpr auto kFirst = static_cast<unsigned>(telemetry::Handshake::kNotTls);
  return static_cast<telemetry::Handshake>(kFirst + static_cast<unsigned>(failure) - 1);
}

}  // namespace

TlsHandshake::TlsHandshake(Shard& shard, Transport transport, const Peer& peer)
    : ClientConnection(shard, std::move(transport), peer),
      deadline_(shard.now() + shard.settings().tls.handshake_timeout) {}

void TlsHandshake::Start() {
  if (!Register()) {
    shard_.lane().Add(telemetry::Limit::kDescriptors);
    return Close();
  }
  shard_.reactor().timers().Arm(*this, deadline_);
  Queue();
}

void TlsHandshake::Queue() {
  if (!std::exchange(queued_, true)) shard_.HandshakeLater(*this);
}

void TlsHandshake::OnReady(std::uint32_t events) {
  if (closed()) return;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Count(telemetry::Handshake::kLeft);
    return Close();
  }
  Queue();
}

void TlsHandshake::OnTimer() {
  shard_.lane().Add(telemetry::Limit::kHandshakeTimeout);
  Count(telemetry::Handshake::kTooSlow);
  Close();
}

void TlsHandshake::Pump() {
  queued_ = false;
  if (closed()) return;
  switch (transport_.link()->Handshake(transport_.socket())) {
    case TlsLink::Step::kNotNow:
      return;
    case TlsLink::Step::kFailed:
      return OnFailed();
    case TlsLink::Step::kOpen:
      return OnOpen();
  }
}

void TlsHandshake::OnOpen() {
  const tls::Session& session = *transport_.session();
  Count(session.resumed() ? telemetry::Handshake::kResumed : telemetry::Handshake::kFull);
  if (session.protocol() == tls::kChallengeProtocol) return Close();  // it has seen what it wanted
  shard_.Promote(*this);
}

void TlsHandshake::OnFailed() {
  const tls::Failure failure = transport_.session()->failure();
  Count(failure == tls::Failure::kNone ? telemetry::Handshake::kLeft : ResultOf(failure));
  if (failure == tls::Failure::kNotTls) os::Send(transport_.socket(), {&kPlainAnswer, 1});
  Close();
}

void TlsHandshake::Count(telemetry::Handshake result) {
  shard_.lane().Add(result);
}

void TlsHandshake::Close() {
  if (!closed()) CloseSocket();
}

}  // namespace onebox::front
