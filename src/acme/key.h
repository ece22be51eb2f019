#pragma once
// A private key: an account's, or a certificate's.

#include <string>
#include <string_view>
#include <utility>

#include "acme/settings.h"
#include "base/result.h"
#include "tls/openssl.h"

namespace onebox::acme {

class Key {
 public:
  static Result<Key> New(KeyKind kind);
  static Result<Key> FromPem(std::string_view pem);

  std::string Pem() const;  // PKCS #8, in the clear
  bool IsP256() const;

  // ES256 over SHA-256, as the two numbers of 32 bytes that JWS wants (RFC 7518 section 3.4).
  // REQUIRES: IsP256().
  std::string Sign(std::string_view bytes) const;
  // The public half's coordinates, of 32 bytes each. REQUIRES: IsP256().
  struct Point {
    std::string x, y;
  };
  Point point() const;

  EVP_PKEY* get() const { return key_.get(); }  // stays ours

 private:
  explicit Key(tls::KeyHandle key) : key_(std::move(key)) {}

  tls::KeyHandle key_;
};

std::string Sha256(std::string_view bytes);
std::string HmacSha256(std::string_view key, std::string_view bytes);

}  // namespace onebox::acme
