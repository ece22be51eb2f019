#pragma once
// Certificates, OCSP responses and two sessions that talk in memory, for the tests of any room.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/check.h"
#include "base/clock.h"
#include "tls/certificate.h"
#include "tls/openssl.h"
#include "tls/session.h"

namespace onebox::tls::testing {

inline const WallTime kNow{std::chrono::seconds(1'790'000'000)};

// A key is costly to make where its kind is RSA: tests share them.
inline KeyHandle NewKey(KeyKind kind) {
  EVP_PKEY* key = kind == KeyKind::kRsa       ? EVP_RSA_gen(2048)
                  : kind == KeyKind::kEd25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                              : EVP_EC_gen("P-256");
  CHECK(key != nullptr);
  return KeyHandle(key);
}

struct Issued {
  X509Handle certificate;
  KeyHandle key;

  std::string CertificatePem() const {
    const BioHandle bio(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_X509(bio.get(), certificate.get()) == 1);
    return TextOf(bio.get());
  }
  std::string KeyPem() const {
    const BioHandle bio(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
          1);
    return TextOf(bio.get());
  }
};

struct Wish {
  std::string common_name;
  std::string alternatives = {};  // "DNS:a.example,IP:127.0.0.1", or none
  KeyKind kind = KeyKind::kEcdsa;
  WallTime from = kNow - std::chrono::hours(24);
  WallTime until = kNow + std::chrono::hours(24 * 90);
  bool authority = false;
};

inline void SetTime(ASN1_TIME* field, WallTime time) {
  CHECK(ASN1_TIME_set(
            field,
            std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count()) !=
        nullptr);
}

// Signed by `issuer`, or by itself.
inline Issued Issue(const Wish& wish, const Issued* issuer = nullptr) {
  static long serial = 4096;
  Issued made{X509Handle(X509_new()), NewKey(wish.kind)};
  X509* const x509 = made.certificate.get();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  SetTime(X509_getm_notBefore(x509), wish.from);
  SetTime(X509_getm_notAfter(x509), wish.until);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509),
                             "CN",
                             MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.common_name.c_str()),
                             -1,
                             -1,
                             0);
  const X509* above = issuer == nullptr ? x509 : issuer->certificate.get();
  X509_set_issuer_name(x509, X509_get_subject_name(above));
  X509_set_pubkey(x509, made.key.get());
  const auto add = [&](int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, const_cast<X509*>(above), x509, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    CHECK(extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1);
  };
  if (wish.authority) add(NID_basic_constraints, "critical,CA:TRUE");
  if (!wish.alternatives.empty()) add(NID_subject_alt_name, wish.alternatives);
  EVP_PKEY* const signer = issuer == nullptr ? made.key.get() : issuer->key.get();
  const bool own_digest = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
  CHECK(X509_sign(x509, signer, own_digest ? nullptr : EVP_sha256()) > 0);
  return made;
}

// What a responder with the issuer's key says of a certificate.
inline std::string RespondAbout(const Issued& subject,
                                const Issued& issuer,
                                int status,
                                WallTime from,
                                WallTime until) {
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(nullptr, subject.certificate.get(), issuer.certificate.get());
  const std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>> begin(ASN1_TIME_new());
  const std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>> end(ASN1_TIME_new());
  SetTime(begin.get(), from);
  SetTime(end.get(), until);
  ASN1_GENERALIZEDTIME* from_field = ASN1_TIME_to_generalizedtime(begin.get(), nullptr);
  ASN1_GENERALIZEDTIME* until_field = ASN1_TIME_to_generalizedtime(end.get(), nullptr);
  CHECK(OCSP_basic_add1_status(basic,
                               id,
                               status,
                               0,
                               status == V_OCSP_CERTSTATUS_REVOKED ? from_field : nullptr,
                               from_field,
                               until_field) != nullptr);
  CHECK(OCSP_basic_sign(
            basic, issuer.certificate.get(), issuer.key.get(), EVP_sha256(), nullptr, 0) == 1);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &der);
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  ASN1_GENERALIZEDTIME_free(from_field);
  ASN1_GENERALIZEDTIME_free(until_field);
  OCSP_CERTID_free(id);
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  return bytes;
}

// `bytes` into `to`, `piece` at a time; what it decrypts is appended to `plaintext`.
inline void Deliver(Session& to,
                    std::string_view bytes,
                    std::size_t piece,
                    std::string& plaintext,
                    std::string& answer) {
  while (!bytes.empty()) {
    const std::string_view now = bytes.substr(0, piece);
    bytes.remove_prefix(now.size());
    std::vector<char> room(now.size() + to.held());
    const std::size_t size = to.Receive(now, room, answer);
    plaintext.append(room.data(), size);
  }
}

// Both sides of a connection.
struct Pair {
  Session client;
  Session server;
  std::size_t piece = 1 << 20;  // bytes that arrive at once
  std::string to_server;
  std::string to_client;
  std::string at_server;  // plaintext
  std::string at_client;

  Pair(std::shared_ptr<const ClientContext> of_client,
       std::shared_ptr<const ServerContext> of_server,
       const std::string& host,
       WallTime now = kNow)
      : client(std::move(of_client), host, now), server(std::move(of_server), now) {}

  // Until nobody has anything to say.
  void Exchange() {
    while (!to_server.empty() || !to_client.empty()) {
      const std::string up = std::exchange(to_server, {});
      Deliver(server, up, piece, at_server, to_client);
      const std::string down = std::exchange(to_client, {});
      Deliver(client, down, piece, at_client, to_server);
    }
  }
  void Handshake() {
    client.Start(to_server);
    Exchange();
  }
  bool open() const {
    return client.state() == Session::State::kOpen && server.state() == Session::State::kOpen;
  }
};

}  // namespace onebox::tls::testing
