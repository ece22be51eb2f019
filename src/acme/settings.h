#pragma once
// What the box is to obtain certificates for, and from whom.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace onebox::acme {

// What a certificate's key is: P-256, or RSA of 2048 bits.
enum class KeyKind : std::uint8_t { kEcdsa, kRsa };

// How we show that a name is ours (RFC 8555 section 8.3, RFC 8737).
enum class Challenge : std::uint8_t { kHttp01, kTlsAlpn01 };

// The name that the protocol has for it: "http-01".
constexpr const char* NameOf(Challenge challenge) {
  return challenge == Challenge::kHttp01 ? "http-01" : "tls-alpn-01";
}

// Binds our account to one that we have with the authority (RFC 8555 section 7.3.4).
struct ExternalAccount {
  std::string kid;   // empty: there is none
  std::string hmac;  // its key, in base64url, as the authority shows it
};

inline constexpr std::size_t kNamesMax = 100;
inline constexpr const char* kLetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

struct Settings {
  std::string folder;              // DATA/acme
  std::vector<std::string> names;  // each is IsName(), and gets a certificate of its own
  std::string email;               // where the authority warns us; may be empty
  std::string directory = kLetsEncrypt;
  std::string ca_file;  // whom the directory's own TLS is checked by; empty: the system's
  std::vector<Challenge> challenges;  // those to try, in turn, one an attempt; at least one
  KeyKind key = KeyKind::kEcdsa;
  ExternalAccount external;
  std::string agent;  // "onebox/0.1.0": who we say that we are
};

}  // namespace onebox::acme
