#include "acme/key.h"

#include <array>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "acme/openssl.h"
#include "base/check.h"

namespace onebox::acme {
namespace {

constexpr int kCoordinateBytes = 32;  // of P-256
constexpr std::size_t kRsaBits = 2048;

std::string BytesOf(const BIGNUM* number) {
  std::string bytes(kCoordinateBytes, '\0');
  CHECK(BN_bn2binpad(number, MutableBytes(bytes), kCoordinateBytes) == kCoordinateBytes);
  return bytes;
}

std::string Coordinate(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  const Owned<BIGNUM, BN_free> owner(number);
  return BytesOf(number);
}

}  // namespace

Result<Key> Key::New(KeyKind kind) {
  tls::KeyHandle key(kind == KeyKind::kRsa ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-256"));
  if (key == nullptr) return tls::OpensslError("no key can be made");
  return Key(std::move(key));
}

Result<Key> Key::FromPem(std::string_view pem) {
  // An empty passphrase, so that none is asked for at a terminal.
  tls::KeyHandle key(PEM_read_bio_PrivateKey(
      tls::ReadFrom(pem).get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (key == nullptr) return tls::OpensslError("this is no private key in PEM");
  return Key(std::move(key));
}

std::string Key::Pem() const {
  const tls::BioHandle bio(BIO_new(BIO_s_mem()));
  CHECK(bio != nullptr && PEM_write_bio_PKCS8PrivateKey(
                              bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return tls::TextOf(bio.get());
}

bool Key::IsP256() const {
  std::array<char, 32> group{};
  return EVP_PKEY_is_a(key_.get(), "EC") == 1 &&
         EVP_PKEY_get_group_name(key_.get(), group.data(), group.size(), nullptr) == 1 &&
         std::string_view(group.data()) == SN_X9_62_prime256v1;
}

Key::Point Key::point() const {
  CHECK(IsP256());
  return {Coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X),
          Coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y)};
}

std::string Key::Sign(std::string_view bytes) const {
  CHECK(IsP256());
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> signer(EVP_MD_CTX_new());
  CHECK(EVP_DigestSignInit(signer.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1);
  std::size_t size = 0;
  CHECK(EVP_DigestSign(signer.get(), nullptr, &size, BytesIn(bytes), bytes.size()) == 1);
  std::string der(size, '\0');
  CHECK(EVP_DigestSign(signer.get(), MutableBytes(der), &size, BytesIn(bytes), bytes.size()) == 1);
  const unsigned char* at = BytesIn(der);
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  CHECK(signature != nullptr);
  return BytesOf(ECDSA_SIG_get0_r(signature.get())) + BytesOf(ECDSA_SIG_get0_s(signature.get()));
}

std::string Sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(BytesIn(bytes), bytes.size(), MutableBytes(digest));
  return digest;
}

std::string HmacSha256(std::string_view key, std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  unsigned size = 0;
  CHECK(HMAC(EVP_sha256(),
             key.data(),
             static_cast<int>(key.size()),
             BytesIn(bytes),
             bytes.size(),
             MutableBytes(digest),
             &size) != nullptr);
  return digest;
}

}  // namespace onebox::acme
