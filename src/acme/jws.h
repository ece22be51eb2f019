#pragma once
// JSON Web Signatures as ACME has them (RFC 7515 flattened, RFC 8555 section 6.2).

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "acme/key.h"

namespace onebox::acme {

// The public half of an account's key (RFC 7517). REQUIRES: key.IsP256().
nlohmann::json PublicJwk(const Key& key);

// Of the public half, in base64url (RFC 7638).
std::string Thumbprint(const Key& key);

// The body of a request: `head` gets the algorithm. An empty payload is that of POST-as-GET.
std::string Signed(nlohmann::json head, std::string_view payload, const Key& key);

// What binds an account to another with the authority: `kid` is its name, `mac_key` the bytes of its key.
struct Binding {
  std::string kid, mac_key, url;  // url: where the account is asked for
};
nlohmann::json SignedBinding(const Binding& binding, const Key& key);

}  // namespace onebox::acme
