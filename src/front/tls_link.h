#pragma once
// TLS between a client's socket and who speaks HTTP on it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "front/body.h"
#include "front/budget.h"
#include "os/stream_socket.h"
#include "tls/session.h"

namespace onebox::front {

// What all links of one reactor work in: nothing stays in it between two calls.
struct TlsRoom {
  std::vector<char> received = std::vector<char>(std::size_t{40} << 10);  // ciphertext
  std::vector<char> opened = std::vector<char>(std::size_t{64} << 10);  // plaintext of a handshake
  std::string record;                                                   // plaintext to be sealed
  std::string sealed;                                                   // ciphertext
};

// What is said here of a try is what os::Moved says. Ciphertext that the socket did not take waits here; it
// is told of as not sent, so that who sends keeps the plaintext and comes again with the same bytes. It is
// then thrown away unseen. So nobody has to know that anything waits here.
class TlsLink {
 public:
  TlsLink(std::shared_ptr<const tls::ServerContext> context,
          WallTime now,
          TlsRoom& room,
          Budget& budget)
      : session_(std::move(context), now), room_(room), budget_(budget) {}
  ~TlsLink();
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  enum class Step : std::uint8_t {
    kOpen,    // the handshake is done, and our part of it has left
    kNotNow,  // it waits for the client
    kFailed,  // session().failure() says why; kNone: the client has left
  };
  Step Handshake(const os::Fd& socket);

  // As os::Receive(); its end is close_notify, or that of the connection.
  os::Moved Receive(const os::Fd& socket, std::span<char> buffer);
  // Whether the last Receive() has left nothing behind: what comes later is a new edge.
  bool emptied() const { return emptied_; }
  os::Moved Send(const os::Fd& socket, std::string_view first, std::span<const Piece> pieces);
  // What waits without having been asked for: alerts, answers to the protocol's own messages.
  void Flush(const os::Fd& socket) { (void)SendWaiting(socket); }
  // close_notify; without it the client takes what it has for cut off.
  void SayGoodbye(const os::Fd& socket);

  const tls::Session& session() const { return session_; }

 private:
  os::Moved::State SendWaiting(const os::Fd& socket);
  os::Moved::State SendSealed(const os::Fd& socket);
  std::size_t TakePromised(std::string_view first, std::span<const Piece> pieces);
  bool SealPieces(std::span<const Piece> pieces, std::size_t& left);
  bool SealBytes(std::string_view bytes, std::size_t& left);
  bool SealRecord();

  tls::Session session_;
  TlsRoom& room_;
  Budget& budget_;
  std::string waiting_;       // ciphertext that the socket did not take
  std::string early_;         // plaintext that came with the end of the handshake
  std::size_t promised_ = 0;  // plaintext bytes in waiting_, that were told of as not sent
  bool emptied_ = false;
};

}  // namespace onebox::front
