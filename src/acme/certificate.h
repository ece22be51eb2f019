#pragma once
// Certificates: asked for, made for a while, and looked at before they are used.

#include <string>
#include <string_view>
#include <vector>

#include "acme/key.h"
#include "base/clock.h"
#include "base/result.h"

namespace onebox::acme {

// What is known of one.
struct Facts {
  std::vector<std::string> names;  // of DNS, as the subject's alternative names have them
  std::string issuer;              // its common name, else its organisation; empty: it has neither
  WallTime not_before, not_after;
  bool placeholder = false;  // made by MakePlaceholder(), and trusted by nobody
};

// A request for a certificate of that name (PKCS #10), in DER.
Result<std::string> MakeRequest(const std::string& name, const Key& key);

// In PEM, signed by its own key: what TLS can start with until there is another. Its issuer says that.
Result<std::string> MakePlaceholder(const std::string& name, const Key& key, WallTime now);

// What answers tls-alpn-01 for that name (RFC 8737 section 3), in PEM, signed by its own key.
Result<std::string> MakeChallengeCertificate(const std::string& name,
                                             std::string_view key_authorization,
                                             const Key& key,
                                             WallTime now);

// Whether `pem` can serve that name: its first certificate is of this key and this name, and each of the
// others has signed the one before. Whether clients trust the last one is the authority's business.
Result<Facts> CheckChain(std::string_view pem, const std::string& name, const Key& key);

// And whether it holds now.
Status CheckTime(const Facts& facts, const std::string& name, WallTime now);

}  // namespace onebox::acme
