#pragma once
// An OCSP response to send with a certificate (RFC 6066 section 8), checked before it is used.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "tls/openssl.h"

namespace onebox::tls {

struct Staple {
  std::string der;
  WallTime valid_until;  // nextUpdate: not sent from then on
};

// `der` says that `leaf`, which the first of `chain` has issued, is good at `now`; else why it is of
// no use.
Result<Staple> ParseStaple(std::string_view der, X509* leaf, STACK_OF(X509) * chain, WallTime now);

}  // namespace onebox::tls
