#pragma once
// One connection to a server: its bytes out and in, over TLS where the server wants that.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "event/reactor.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/stream_socket.h"
#include "tls/client_context.h"
#include "tls/session.h"

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
  static constexpr std::size_t kScratchBytes = 64 << 10;

  struct Tls {
    std::shared_ptr<const tls::ClientContext> context;
    std::string host;         // that the certificate must be for
    std::span<char> scratch;  // kScratchBytes for one call at a time; outlives it
  };
  // An Error where it cannot even begin.
  static Result<std::unique_ptr<Connection>> Begin(event::Reactor& reactor,
                                                   const os::SocketAddress& address,
                                                   const std::optional<Tls>& tls);
  ~Connection();

  void UseBy(User* user) { user_ = user; }

  State state() const { return state_; }
  // Why it never was open; `of_tls`: the server was there.
  const std::string& failure() const { return failure_; }
  bool of_tls() const { return of_tls_; }
  // Whether there may be something to read: bytes, or their end.
  bool readable() const { return readable_; }

  // What os::Receive() and its like say. Where it says kNotNow, OnReady() follows.
  os::Moved Receive(std::span<char> buffer);
  os::Moved Send(std::span<const std::string_view> parts);
  os::Moved SendFile(const os::Fd& file, std::uint64_t offset, std::size_t size);
  void EndSending();

  // For who keeps it while nobody uses it.
  Time idle_since{};

 private:
  Connection(event::Reactor& reactor, os::Fd socket)
      : reactor_(reactor), socket_(std::move(socket)) {}
  void OnReady(std::uint32_t events) override;
  void Break(std::string why);
  os::Moved ReceiveRaw(std::span<char> buffer);
  os::Moved Decrypt(std::span<char> buffer);
  os::Moved Encrypt(std::span<const std::string_view> parts);
  bool Flush();
  void ShakeHands();

  event::Reactor& reactor_;
  os::Fd socket_;
  User* user_ = nullptr;
  std::unique_ptr<tls::Session> tls_;  // null: plain
  std::span<char> scratch_;
  std::string encrypted_;  // not sent yet
  std::string failure_;
  State state_ = State::kConnecting;
  bool readable_ = false;
  bool ended_ = false;  // the other side has closed: an end waits to be read
  bool of_tls_ = false;
};

}  // namespace onebox::upstream
