#pragma once
// What a server says and asks in its handshakes: certificates by name, versions, protocols, tickets.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "tls/certificate.h"
#include "tls/openssl.h"
#include "tls/profile.h"
#include "tls/ticket_keys.h"

namespace onebox::tls {

enum class ClientCertificates : std::uint8_t {
  kOff,
  kRequest,  // a client may have none; one that is there must be valid
  kRequire,
};

// The protocol that a certificate authority asks for when it validates by tls-alpn-01 (RFC 8737).
inline constexpr std::string_view kChallengeProtocol = "acme-tls/1";

struct ServerSettings {
  Version version_min = Version::kTls12;
  std::vector<std::string> protocols = {"http/1.1"};  // ALPN, the preferred first
  ClientCertificates client_certificates = ClientCertificates::kOff;
  std::string client_ca_pem;            // who vouches for clients; not empty unless kOff
  std::shared_ptr<TicketKeys> tickets;  // none: no session is resumed
  // The certificate that proves who holds `name` to a client that speaks kChallengeProtocol alone; none:
  // its handshake fails. Called by the threads of the sessions.
  std::function<std::shared_ptr<const Certificate>(const std::string& name)> challenge;
};

// Of the profile in tls/profile.h, without early data. Does not change; threads may share it, and a Session
// keeps it alive.
class ServerContext {
 public:
  // The first certificate serves clients that name nobody, or somebody unknown. Of several with the same
  // name and kind of key the first holds. Not empty.
  static Result<std::shared_ptr<const ServerContext>> Make(
      const ServerSettings& settings,
      const std::vector<std::shared_ptr<const Certificate>>& certificates);

  // As SSL wants it, for a session to begin with.
  SSL_CTX* ssl_context() const { return default_; }
  // The one whose certificates a client is shown that asks for `name`: exact, then by wildcard.
  SSL_CTX* ContextFor(std::string_view name) const;
  const ServerSettings& settings() const { return settings_; }

 private:
  // Certificates of different kinds for the same names, as one SSL_CTX.
  struct Bundle {
    std::vector<std::shared_ptr<const Certificate>> certificates;
    ContextHandle context;
  };

  explicit ServerContext(ServerSettings settings) : settings_(std::move(settings)) {}

  Status Add(const std::vector<std::shared_ptr<const Certificate>>& certificates);
  Result<SSL_CTX*> ContextOf(std::vector<std::shared_ptr<const Certificate>> certificates);
  Result<ContextHandle> NewContext() const;
  Status AskClients(SSL_CTX* context) const;

  ServerSettings settings_;
  std::vector<std::unique_ptr<Bundle>> bundles_;
  std::unordered_map<std::string, SSL_CTX*> by_name_;
  SSL_CTX* default_ = nullptr;
};

}  // namespace onebox::tls
