#pragma once
// One side of a TLS connection: ciphertext in, plaintext out, and the other way round.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "tls/certificate.h"
#include "tls/client_context.h"
#include "tls/openssl.h"
#include "tls/server_context.h"

namespace onebox::tls {

// Why a session failed; also the labels of a counter.
enum class Failure : std::uint8_t {
  kNone,
  kNotTls,           // its first bytes are no TLS: plain HTTP, mostly
  kVersion,          // too old
  kNothingShared,    // no cipher, group or signature in common
  kNoProtocol,       // ALPN: nothing in common
  kPeerCertificate,  // missing, or not to be trusted
  kRefusedByPeer,    // it sent an alert
  kBroken,           // not as the protocol says, or forged
};
inline constexpr std::size_t kFailures = 8;
std::string_view Label(Failure failure);

// handshake -> open -> ended, or -> failed from any. Knows no socket: what it has to say is appended to
// `out`, for its owner to send whatever the state. Not to be moved.
class Session {
 public:
  enum class State : std::uint8_t {
    kHandshake,
    kOpen,
    kEnded,   // the other side has said that no more comes; we may still send
    kFailed,  // nothing more in or out, once what is in `out` has left
  };

  // `now` judges certificates and staples.
  Session(std::shared_ptr<const ServerContext> context, WallTime now);
  // `host` is who must answer, a name or an address; sent as SNI if it is a name.
  Session(std::shared_ptr<const ClientContext> context, const std::string& host, WallTime now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // A client's first word; `earlier` may shorten the handshake, if the server still knows it.
  void Start(std::string& out, SSL_SESSION* earlier = nullptr);
  // For the next client of the same server, once one has come: behind the first bytes of an answer.
  // Nothing where the server gives none.
  SessionHandle resumable() const;

  // Takes all of `bytes`, which came from the other side, and puts what it decrypts into `plaintext`, whose
  // room must be held() + bytes.size() at least. How much that was; it may be nothing.
  std::size_t Receive(std::string_view bytes, std::span<char> plaintext, std::string& out);

  // In state open or ended, and not after End(). False: it has failed.
  bool Send(std::string_view plaintext, std::string& out);

  // Says that no more comes (close_notify). Once, in any state.
  void End(std::string& out);

  State state() const { return state_; }
  Failure failure() const { return failure_; }
  std::string FailureText() const;  // in OpenSSL's words

  // Bytes of a record that is not whole, kept here; less than 17 KiB.
  std::size_t held() const { return held_.size(); }

  // From the end of the handshake on.
  std::string_view protocol() const;     // by ALPN, or ""
  std::string_view server_name() const;  // by SNI, or ""; as the client wrote it
  std::string_view version() const;      // "TLSv1.3"
  std::string_view cipher() const;       // "TLS_AES_128_GCM_SHA256"
  bool resumed() const;
  std::optional<PeerCertificate> peer() const;  // checked, unless the context says not to

  // For the callbacks of OpenSSL alone.
  const ServerContext* server_context() const { return server_.get(); }
  WallTime began() const { return began_; }
  bool challenged() const { return challenged_; }
  void SetChallenged() { challenged_ = true; }
  static Session& Of(const SSL* ssl);

 private:
  void Init(SSL_CTX* context, WallTime now);
  bool Goes() const { return state_ == State::kHandshake || state_ == State::kOpen; }
  bool Complete(std::string_view& bytes);
  std::size_t Hold(std::string_view rest, std::span<char> plaintext, std::string& out);
  std::size_t Feed(std::string_view records, std::span<char> plaintext, std::string& out);
  std::size_t ReadAll(std::span<char> plaintext);
  void Stopped(int why);
  void FailWith(Failure failure);

  static int Read(BIO* bio, char* into, std::size_t room, std::size_t* read);
  static int Write(BIO* bio, const char* bytes, std::size_t size, std::size_t* written);
  static long Control(BIO* bio, int command, long number, void* argument);
  static const BIO_METHOD* Method();

  std::shared_ptr<const ServerContext> server_;
  std::shared_ptr<const ClientContext> client_;
  SslHandle ssl_;
  std::string held_;            // the begin of a record
  std::string_view input_;      // during a call: whole records
  std::string* out_ = nullptr;  // during a call
  WallTime began_;
  unsigned long error_ = 0;  // OpenSSL's
  State state_ = State::kHandshake;
  Failure failure_ = Failure::kNone;
  bool is_tls_ = false;  // its first byte says so
  bool challenged_ = false;
  bool end_sent_ = false;
};

}  // namespace onebox::tls
