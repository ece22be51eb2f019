#pragma once
// A listening socket: accepts, keeps to the limits, and spreads connections over the reactors.

#include <functional>

#include "event/reactor.h"
#include "front/peer.h"
#include "os/socket.h"
#include "telemetry/metrics.h"

namespace onebox::front {

// Watched by one reactor. What it is borrowed outlives it.
class Listener final : public event::Watcher, public event::Timer {
 public:
  struct Parts {
    event::Reactor& reactor;
    telemetry::Lane lane;
    std::function<bool(const os::SocketAddress&)> admit;  // whether the limits allow it
    std::function<void(os::Accepted)> adopt;
  };
  Listener(os::Fd socket, Parts parts);
  ~Listener() override;

  Status Watch();
  void Stop();  // accepts no more

 private:
  void OnReady(std::uint32_t events) override;
  void OnTimer() override { Accept(); }
  void Accept();

  os::Fd socket_;
  Parts parts_;
};

}  // namespace onebox::front
