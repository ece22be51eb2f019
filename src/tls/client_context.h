#pragma once
// What a client of TLS servers asks of them.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tls/certificate.h"
#include "tls/openssl.h"
#include "tls/profile.h"

namespace onebox::tls {

enum class Verify : std::uint8_t { kHostAndChain, kNothing };

struct ClientSettings {
  Verify verify = Verify::kHostAndChain;
  std::string ca_pem = {};  // who vouches for servers; not empty unless kNothing
  Version version_min = Version::kTls12;
  std::vector<std::string> protocols = {"http/1.1"};    // ALPN; none: it is not spoken of
  std::shared_ptr<const Certificate> certificate = {};  // ours, or none
};

// Does not change; threads may share it, and a Session keeps it alive.
class ClientContext {
 public:
  static Result<std::shared_ptr<const ClientContext>> Make(const ClientSettings& settings);

  SSL_CTX* ssl_context() const { return context_.get(); }
  Verify verify() const { return verify_; }

 private:
  ClientContext(ContextHandle context, Verify verify)
      : context_(std::move(context)), verify_(verify) {}

  ContextHandle context_;
  Verify verify_;
};

}  // namespace onebox::tls
