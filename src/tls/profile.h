#pragma once
// What servers and clients have in common: versions, ciphers, groups, whom they trust.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tls/certificate.h"
#include "tls/openssl.h"

namespace onebox::tls {

enum class Version : std::uint8_t { kTls12, kTls13 };

// Mozilla's intermediate profile, guideline 5.7: its ciphers, its curves, its group for DHE; the client's
// preference holds. No compression, no renegotiation; buffers are given back when they are empty.
Result<ContextHandle> NewProfileContext(const SSL_METHOD* method, Version version_min);

// Its certificate, chain and key become one of the context's, in place of one of the same kind.
Status UseCertificate(SSL_CTX* context, const Certificate& certificate);

// Whom the other side's certificate has to come from: the certificates of a PEM bundle.
Status TrustBundle(SSL_CTX* context, std::string_view pem);

// Protocols as ALPN writes them (RFC 7301 section 3.1); each has 1 to 255 bytes.
std::string AlpnList(const std::vector<std::string>& protocols);

}  // namespace onebox::tls
