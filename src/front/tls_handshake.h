#pragma once
// A client's connection until it is known what it speaks: the handshake of TLS.

#include <cstdint>

#include "base/clock.h"
#include "front/client_connection.h"
#include "telemetry/metric_table.h"

namespace onebox::front {

// handshaking -> given to the shard, which makes the connection of the protocol that was agreed on; or
// closed. What it costs is done at the end of a turn, a few of them in each: those who have been served
// before do not wait behind a crowd that arrives.
class TlsHandshake final : public ClientConnection {
 public:
  TlsHandshake(Shard& shard, Transport transport, const Peer& peer);

  void Start() override;
  void Pump() override;  // one step
  void Drain() override { Close(); }
  void ShowBroken() override {}

 private:
  void OnReady(std::uint32_t events) override;
  void Queue();
  void OnTimer() override;
  void Close() override;
  void Count(telemetry::Handshake result);
  void OnFailed();
  void OnOpen();

  Time deadline_;
  bool queued_ = false;
};

}  // namespace onebox::front
