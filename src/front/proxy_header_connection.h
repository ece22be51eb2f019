#pragma once
// A connection of a proxy that has yet to say who its client is, by the PROXY protocol.

#include <cstdint>
#include <string_view>

#include "front/client_connection.h"

namespace onebox::front {

// Lives until the header is there: then another connection has the socket, whose peer is the client. The
// header is looked at where it lies in the kernel and taken to its last byte, so whoever comes after it,
// TLS or HTTP, finds its own first byte.
class ProxyHeaderConnection final : public ClientConnection {
 public:
  ProxyHeaderConnection(Shard& shard, Transport transport, const Peer& peer);

  void Pump() override;
  void Drain() override { Close(); }
  void ShowBroken() override {}

 private:
  void OnReady(std::uint32_t events) override;
  void OnTimer() override;
  void Close() override;
  void Refuse(std::string_view why);

  const Time due_;
  bool peer_done_ = false;  // no more comes
};

}  // namespace onebox::front
