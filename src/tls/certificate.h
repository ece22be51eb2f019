#pragma once
// A certificate with its chain and its private key, checked to belong together.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "tls/openssl.h"
#include "tls/staple.h"

namespace onebox::tls {

// What its key signs with: a server may have one certificate of each kind for the same name.
enum class KeyKind : std::uint8_t { kEcdsa, kRsa, kEd25519, kOther };

// Does not change, and may be used by all threads.
class Certificate {
 public:
  // PEM: the certificate and then those that vouch for it, and its private key without a password.
  // The operator's mistakes as sentences: no certificate, no key, a key of another certificate.
  static Result<std::shared_ptr<const Certificate>> Parse(std::string_view chain_pem,
                                                          std::string_view key_pem);

  // The same with an OCSP response that is sent along until it is out of date.
  std::shared_ptr<const Certificate> With(Staple staple) const;

  // What may be wrong with it, a sentence each: out of date, not yet valid, incomplete chain.
  std::vector<std::string> Warnings(WallTime now) const;

  // DNS names in lower case and addresses, out of its SAN; without one its common name.
  const std::vector<std::string>& names() const { return names_; }
  const std::string& subject() const { return subject_; }  // RFC 2253
  KeyKind kind() const { return kind_; }
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }

  X509* leaf() const { return leaf_.get(); }
  EVP_PKEY* key() const { return key_.get(); }
  STACK_OF(X509) * chain() const { return chain_.get(); }  // without the leaf
  const std::optional<Staple>& staple() const { return staple_; }

 private:
  Certificate() = default;

  std::shared_ptr<X509> leaf_;
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<STACK_OF(X509)> chain_;
  std::vector<std::string> names_;
  std::string subject_;
  WallTime not_before_;
  WallTime not_after_;
  KeyKind kind_ = KeyKind::kOther;
  std::optional<Staple> staple_;
};

// Nobody trusts it: for clients that do not look, and until there is one that is trusted. ECDSA, for
// ten years from a day before `now`.
Result<std::shared_ptr<const Certificate>> MakeSelfSigned(const std::string& name, WallTime now);

// What is said of the other side's certificate.
struct PeerCertificate {
  std::string subject;      // RFC 2253
  std::string issuer;       // RFC 2253
  std::string serial;       // hexadecimal
  std::string fingerprint;  // SHA-256 of the certificate, hexadecimal
};
PeerCertificate Describe(const X509& certificate);

// The certificates of a PEM bundle; an error names what cannot be read.
Result<X509Stack> ParseBundle(std::string_view pem);

// RFC 5280's times; the epoch for what is none.
WallTime TimeOf(const ASN1_TIME* time);

}  // namespace onebox::tls
