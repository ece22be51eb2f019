#pragma once
// A listening socket: accepts, keeps to the limits, and spreads connections over the reactors.

#include <cstdint>
#include <functional>

#include "event/reactor.h"
#include "front/peer.h"
#include "os/socket.h"
#include "telemetry/metrics.h"

namespace onebox::front {

// Whether one who connects is served.
enum class Admission : std::uint8_t {
  kYes,
  kFull,    // he gets one attempt at a 503
  kDenied,  // he gets nothing
};

enum class Secure : bool { kNo, kYes };

// Watched by one reactor. What it is borrowed outlives it.
class Listener final : public event::Watcher, public event::Timer {
 public:
  struct Parts {
    event::Reactor& reactor;
    telemetry::Lane lane;
    Secure secure;  // its clients do not understand an answer before a handshake
    std::function<Admission(const os::SocketAddress&)> admit;
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
