#include "tls/profile.h"

#include <utility>

#include <openssl/err.h>

#include "base/check.h"

namespace onebox::tls {
namespace {

constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:prime256v1:secp384r1";

// The group of RFC 7919 that Mozilla's tool gives for DHE; a larger one would let a client make us work.
Result<KeyHandle> Ffdhe2048() {
  const KeyContextHandle maker(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
  EVP_PKEY* group = nullptr;
  char name[] = "ffdhe2048";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("group", name, 0),
                               OSSL_PARAM_construct_end()};
  if (maker == nullptr || EVP_PKEY_paramgen_init(maker.get()) != 1 ||
      EVP_PKEY_CTX_set_params(maker.get(), params) != 1 ||
      EVP_PKEY_paramgen(maker.get(), &group) != 1) {
    return OpensslError("OpenSSL does not know the group ffdhe2048");
  }
  return KeyHandle(group);
}

Status UseFfdhe2048(SSL_CTX* context) {
  KeyHandle group = TRY(Ffdhe2048());
  if (SSL_CTX_set0_tmp_dh_pkey(context, group.get()) != 1) {
    return OpensslError("OpenSSL does not take the group ffdhe2048");
  }
  (void)group.release();  // the context's now
  return Done();
}

}  // namespace

Result<ContextHandle> NewProfileContext(const SSL_METHOD* method, Version version_min) {
  ERR_clear_error();
  ContextHandle context(SSL_CTX_new(method));
  if (context == nullptr) return OpensslError("OpenSSL does not start");
  SSL_CTX* const made = context.get();
  const int version = version_min == Version::kTls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (SSL_CTX_set_min_proto_version(made, version) != 1 ||
      SSL_CTX_set_cipher_list(made, kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(made, kCiphers13) != 1 ||
      SSL_CTX_set1_groups_list(made, kGroups) != 1) {
    return OpensslError("OpenSSL does not know Mozilla's intermediate profile");
  }
  TRY(UseFfdhe2048(made));
  SSL_CTX_set_options(made, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(made, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
  return context;
}

Status UseCertificate(SSL_CTX* context, const Certificate& certificate) {
  if (SSL_CTX_use_cert_and_key(
          context, certificate.leaf(), certificate.key(), certificate.chain(), 1) != 1) {
    return OpensslError("OpenSSL does not take the certificate " + certificate.subject());
  }
  return Done();
}

Status TrustBundle(SSL_CTX* context, std::string_view pem) {
  const X509Stack trusted = TRY(ParseBundle(pem));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_num(trusted.get()); ++i) {
    if (X509_STORE_add_cert(store, sk_X509_value(trusted.get(), i)) != 1) {
      return OpensslError("OpenSSL does not take a certificate of the bundle");
    }
  }
  return Done();
}

std::string AlpnList(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& protocol : protocols) {
    CHECK(!protocol.empty() && protocol.size() <= 255);
    list += static_cast<char>(protocol.size());
    list += protocol;
  }
  return list;
}

}  // namespace onebox::tls
