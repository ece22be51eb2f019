#include "acme/certificate.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/openssl.h"
#include "base/check.h"
#include "tls/certificate.h"

namespace onebox::acme {
namespace {

using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;

constexpr std::string_view kPlaceholder = "Onebox placeholder, trusted by nobody";
constexpr const char* kAcmeIdentifier = "1.3.6.1.5.5.7.1.31";  // RFC 8737 section 6.1
constexpr auto kOurLifetime = std::chrono::hours(24 * 365);    // of those that we sign ourselves
constexpr auto kClockSkew = std::chrono::hours(1);             // of a client, or of ours
constexpr int kSerialBytes = 16;

std::time_t UnixTime(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::string TextOf(const ASN1_STRING* text) {
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(text));
  return {bytes, static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// subjectAltName with one name of DNS; critical where the subject is empty (RFC 5280 section 4.2.1.6) is
// not what authorities ask for.
Extension AlternativeName(const std::string& name) {
  const Owned<GENERAL_NAMES, GENERAL_NAMES_free> names(GENERAL_NAMES_new());
  GENERAL_NAME* one = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  CHECK(names != nullptr && one != nullptr && text != nullptr);
  CHECK(ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) == 1);
  GENERAL_NAME_set0_value(one, GEN_DNS, text);
  CHECK(sk_GENERAL_NAME_push(names.get(), one) > 0);
  return Extension(X509V3_EXT_i2d(NID_subject_alt_name, 0, names.get()));
}

// The digest of the key authorization, as an OCTET STRING within the extension's own; critical.
Extension AcmeIdentifier(std::string_view key_authorization) {
  const std::string inner = std::string("\x04\x20", 2) + Sha256(key_authorization);
  const Owned<ASN1_OBJECT, ASN1_OBJECT_free> type(OBJ_txt2obj(kAcmeIdentifier, 1));
  const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> value(ASN1_OCTET_STRING_new());
  CHECK(type != nullptr && value != nullptr);
  CHECK(ASN1_OCTET_STRING_set(value.get(), BytesIn(inner), static_cast<int>(inner.size())) == 1);
  return Extension(X509_EXTENSION_create_by_OBJ(nullptr, type.get(), 1, value.get()));
}

bool AddName(X509_NAME* subject, const char* field, std::string_view text) {
  return X509_NAME_add_entry_by_txt(
             subject, field, MBSTRING_UTF8, BytesIn(text), static_cast<int>(text.size()), -1, 0) ==
         1;
}

bool SetSerial(X509* certificate) {
  std::string bytes(kSerialBytes, '\0');
  if (RAND_bytes(MutableBytes(bytes), kSerialBytes) != 1) return false;
  bytes[0] &= 0x7f;  // positive
  const Owned<BIGNUM, BN_free> number(BN_bin2bn(BytesIn(bytes), kSerialBytes, nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

std::string PemOf(X509* certificate) {
  const tls::BioHandle bio(BIO_new(BIO_s_mem()));
  CHECK(bio != nullptr && PEM_write_bio_X509(bio.get(), certificate) == 1);
  return tls::TextOf(bio.get());
}

struct Ours {
  const std::string& name;
  std::string_view issuer;
  WallTime now;
};

// Signed by its own key, with these extensions.
Result<std::string> SelfSign(const Ours& ours,
                             const Key& key,
                             const std::vector<X509_EXTENSION*>& extensions) {
  const tls::X509Handle certificate(X509_new());
  CHECK(certificate != nullptr);
  X509* const one = certificate.get();
  bool made =
      X509_set_version(one, X509_VERSION_3) == 1 && SetSerial(one) &&
      ASN1_TIME_set(X509_getm_notBefore(one), UnixTime(ours.now - kClockSkew)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(one), UnixTime(ours.now + kOurLifetime)) != nullptr &&
      AddName(X509_get_subject_name(one), "O", ours.issuer) &&
      X509_set_issuer_name(one, X509_get_subject_name(one)) == 1 &&
      X509_set_pubkey(one, key.get()) == 1;
  for (X509_EXTENSION* extension : extensions) {
    made = made && extension != nullptr && X509_add_ext(one, extension, -1) == 1;
  }
  if (!made || X509_sign(one, key.get(), EVP_sha256()) == 0) {
    return tls::OpensslError(fmt::format("no certificate can be made for {}", ours.name));
  }
  return PemOf(one);
}

std::string IssuerOf(const X509* certificate) {
  const X509_NAME* issuer = X509_get_issuer_name(certificate);
  for (const int field : {NID_commonName, NID_organizationName}) {
    const int at = X509_NAME_get_index_by_NID(issuer, field, -1);
    if (at >= 0) return TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at)));
  }
  return {};
}

// Whether each has signed the one before.
bool IsChain(const tls::Certificate& certificate) {
  X509* below = certificate.leaf();
  bool is_one = true;
  for (int i = 0; i < sk_X509_num(certificate.chain()); ++i) {
    X509* const above = sk_X509_value(certificate.chain(), i);
    is_one = is_one && X509_check_issued(above, below) == X509_V_OK &&
             X509_verify(below, X509_get0_pubkey(above)) == 1;
    below = above;
  }
  ERR_clear_error();
  return is_one;
}

Error Unfit(const std::string& name, std::string_view why) {
  return {Blame::kSystem,
          Retry::kYes,
          0,
          fmt::format("the certificate for {} is not used: {}", name, why)};
}

}  // namespace

Result<std::string> MakeRequest(const std::string& name, const Key& key) {
  const Owned<X509_REQ, X509_REQ_free> request(X509_REQ_new());
  const Extension extension = AlternativeName(name);
  struct FreeAll {
    void operator()(STACK_OF(X509_EXTENSION) * all) const {
      sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    }
  };
  const std::unique_ptr<STACK_OF(X509_EXTENSION), FreeAll> extensions(sk_X509_EXTENSION_new_null());
  CHECK(request != nullptr && extension != nullptr && extensions != nullptr);
  CHECK(sk_X509_EXTENSION_push(extensions.get(), X509_EXTENSION_dup(extension.get())) > 0);
  unsigned char* der = nullptr;
  const bool made = X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                    X509_REQ_add_extensions(request.get(), extensions.get()) == 1 &&
                    X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  const int size = made ? i2d_X509_REQ(request.get(), &der) : -1;
  if (size < 0) return tls::OpensslError(fmt::format("no request can be made for {}", name));
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

Result<std::string> MakePlaceholder(const std::string& name, const Key& key, WallTime now) {
  const Extension extension = AlternativeName(name);
  return SelfSign({name, kPlaceholder, now}, key, {extension.get()});
}

Result<std::string> MakeChallengeCertificate(const std::string& name,
                                             std::string_view key_authorization,
                                             const Key& key,
                                             WallTime now) {
  const Extension extension = AlternativeName(name);
  const Extension identifier = AcmeIdentifier(key_authorization);
  return SelfSign({name, "ACME challenge", now}, key, {extension.get(), identifier.get()});
}

Result<Facts> CheckChain(std::string_view pem, const std::string& name, const Key& key) {
  const auto parsed = tls::Certificate::Parse(pem, key.Pem());
  if (!parsed.ok()) return Unfit(name, parsed.error().message);
  const tls::Certificate& certificate = *parsed.value();
  const std::vector<std::string>& names = certificate.names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return Unfit(name, "it is of other names");
  }
  if (!IsChain(certificate)) return Unfit(name, "its chain is not one");
  const std::string issuer = IssuerOf(certificate.leaf());
  return Facts{.names = names,
               .issuer = issuer,
               .not_before = certificate.not_before(),
               .not_after = certificate.not_after(),
               .placeholder = issuer == kPlaceholder};
}

Status CheckTime(const Facts& facts, const std::string& name, WallTime now) {
  if (now + kClockSkew < facts.not_before) return Unfit(name, "it does not hold yet");
  if (now >= facts.not_after) return Unfit(name, "it has expired");
  return Done();
}

}  // namespace onebox::acme
