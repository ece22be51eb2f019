#pragma once
// One connection to a server: its bytes out and in.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "event/reactor.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/stream_socket.h"

namespace onebox::upstream {

// connecting -> open -> broken. Of one reactor's thread, and of one user at a time, whom it tells that
// something may have changed; who asks then, is told what. The reactor outlives it.
class Connection final : public event::Watcher {
 public:
  class User {
   public:
    virtual void OnReady() = 0;

   protected:
    ~User() = default;
  };
  enum class State : std::uint8_t { kConnecting, kOpen, kBroken };

  // An Error where it cannot even begin.
  static Result<std::unique_ptr<Connection>> Begin(event::Reactor& reactor,
                                                   const os::SocketAddress& address);
  ~Connection();

  void UseBy(User* user) { user_ = user; }

  State state() const { return state_; }
  int failure() const { return failure_; }  // an errno, where it never was open
  // Whether there may be something to read: bytes, or their end.
  bool readable() const { return readable_; }

  // What os::Receive() and its like say. Where it says kNotNow, OnReady() follows.
  os::Moved Receive(std::span<char> buffer);
  os::Moved Send(std::span<const std::string_view> parts);
  os::Moved SendFile(const os::Fd& file, std::uint64_t offset, std::size_t size);
  void EndSending() { os::EndSending(socket_); }

  // For who keeps it while nobody uses it.
  Time idle_since{};

 private:
  Connection(event::Reactor& reactor, os::Fd socket)
      : reactor_(reactor), socket_(std::move(socket)) {}
  void OnReady(std::uint32_t events) override;

  event::Reactor& reactor_;
  os::Fd socket_;
  User* user_ = nullptr;
  int failure_ = 0;
  State state_ = State::kConnecting;
  bool readable_ = false;
  bool ended_ = false;  // the other side has closed: an end waits to be read
};

}  // namespace onebox::upstream
