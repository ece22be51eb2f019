#pragma once
// What every client's connection is, whatever it speaks: a socket that is watched, a deadline, a place
// in the shard's list.

#include <cstdint>

#include "event/reactor.h"
#include "front/peer.h"
#include "front/transport.h"

namespace onebox::front {

class Shard;

// The Shard owns it and outlives it; it says Doom() when it has closed.
class ClientConnection : public event::Watcher, public event::Timer {
 public:
  ClientConnection(Shard& shard, Transport transport, const Peer& peer);
  ~ClientConnection() override = default;

  // Reads what is there already; registers with the reactor only if that was not all.
  virtual void Start();
  // Goes on with what can go on: at the end of a turn, for who asked for it.
  virtual void Pump() = 0;
  // No more requests: closes at once if idle, after the answers otherwise.
  virtual void Drain() = 0;
  // The same, but who is idle may begin one more: where the protocol cannot say that it is too late.
  virtual void DrainGently() {}
  // The shard shows what is wrong with the app.
  virtual void ShowBroken() = 0;

  const Peer& peer() const { return peer_; }
  std::uint32_t requests() const { return requests_; }
  bool closed() const { return closed_; }

 protected:
  bool Register();
  // Reads what nobody wants any more: whether more of it may come.
  bool DiscardInput();
  // There is nobody to go on for.
  virtual void Close() = 0;
  // Once; the rest of its life is the end of this turn. Whoever derives lets go of his own first.
  void CloseSocket();
  // How long a client has to see our last bytes before the socket is closed.
  static constexpr Duration kLingerTime = std::chrono::seconds(2);

  Shard& shard_;
  [[no_unique_address]] Peer peer_;  // its padding is used: an idle connection is to be small
  Transport transport_;
  std::uint32_t requests_ = 0;

 private:
  friend class Shard;
  // As if it had closed, but for the socket: another goes on with that.
  Transport GiveUp();
  void Unregister();

  std::uint32_t index_ = 0;  // in the shard's list
  bool registered_ = false;
  bool closed_ = false;

 protected:
  bool readable_ = false;     // there may be bytes that nobody has read
  bool input_ended_ = false;  // and there come no more
  bool draining_ = false;
};

}  // namespace onebox::front
