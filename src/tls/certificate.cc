#include "tls/certificate.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/ascii.h"

namespace onebox::tls {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::string Hex(const unsigned char* bytes, std::size_t size) {
  std::string hex;
  for (std::size_t i = 0; i < size; ++i) {
    hex += kDigits[bytes[i] >> 4U];
    hex += kDigits[bytes[i] & 15U];
  }
  return hex;
}

std::string NameText(const X509_NAME* name) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  CHECK(bio != nullptr);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return TextOf(bio.get());
}

// Where a key is encrypted: OpenSSL would ask on the terminal.
int NoPassword(char* /*password*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<KeyHandle> ParseKey(std::string_view pem) {
  bool encrypted = false;
  KeyHandle key(PEM_read_bio_PrivateKey(ReadFrom(pem).get(), nullptr, NoPassword, &encrypted));
  if (encrypted) {
    ERR_clear_error();
    return OperatorError("the private key is encrypted: store it without a password");
  }
  if (key == nullptr) return OpensslError("no private key in PEM form");
  return key;
}

KeyKind KindOf(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      return KeyKind::kEcdsa;
    case EVP_PKEY_RSA:
      return KeyKind::kRsa;
    case EVP_PKEY_ED25519:
      return KeyKind::kEd25519;
    default:
      return KeyKind::kOther;
  }
}

std::string_view TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string AddressText(std::string_view bytes) {
  if (bytes.size() != 4)
    return Hex(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  std::string text;
  for (const char byte : bytes) {
    if (!text.empty()) text += '.';
    text += std::to_string(static_cast<unsigned char>(byte));
  }
  return text;
}

void AddCommonName(X509* leaf, std::vector<std::string>& names) {
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return;
  names.push_back(Lowered(TextOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)))));
}

std::vector<std::string> NamesOf(X509* leaf) {
  std::vector<std::string> names;
  const std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names.push_back(Lowered(TextOf(name->d.dNSName)));
    if (name->type == GEN_IPADD) names.push_back(AddressText(TextOf(name->d.iPAddress)));
  }
  if (names.empty()) AddCommonName(leaf, names);
  ERR_clear_error();
  return names;
}

bool SelfSigned(X509* leaf) {
  return X509_check_issued(leaf, leaf) == X509_V_OK;
}

}  // namespace

WallTime TimeOf(const ASN1_TIME* time) {
  std::tm fields{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &fields) != 1) return {};
  return WallTime(std::chrono::seconds(timegm(&fields)));
}

Result<X509Stack> ParseBundle(std::string_view pem) {
  X509Stack found(sk_X509_new_null());
  CHECK(found != nullptr);
  const BioHandle bio = ReadFrom(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    CHECK(sk_X509_push(found.get(), one) > 0);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return OpensslError("a certificate cannot be read");
  ERR_clear_error();
  if (sk_X509_num(found.get()) == 0) return OperatorError("no certificate in PEM form");
  return found;
}

Result<std::shared_ptr<const Certificate>> Certificate::Parse(std::string_view chain_pem,
                                                              std::string_view key_pem) {
  ERR_clear_error();
  X509Stack chain = TRY(ParseBundle(chain_pem));
  X509Handle leaf(sk_X509_shift(chain.get()));
  KeyHandle key = TRY(ParseKey(key_pem));
  if (X509_check_private_key(leaf.get(), key.get()) != 1) {
    ERR_clear_error();
    return OperatorError("the private key is not the one of the certificate");
  }
  const std::shared_ptr<Certificate> made(new Certificate);
  made->names_ = NamesOf(leaf.get());
  made->subject_ = NameText(X509_get_subject_name(leaf.get()));
  made->not_before_ = TimeOf(X509_get0_notBefore(leaf.get()));
  made->not_after_ = TimeOf(X509_get0_notAfter(leaf.get()));
  made->kind_ = KindOf(key.get());
  made->leaf_ = std::move(leaf);
  made->key_ = std::move(key);
  made->chain_ = std::move(chain);
  return std::shared_ptr<const Certificate>(made);
}

std::shared_ptr<const Certificate> Certificate::With(Staple staple) const {
  const std::shared_ptr<Certificate> made(new Certificate(*this));
  made->staple_ = std::move(staple);
  return made;
}

std::vector<std::string> Certificate::Warnings(WallTime now) const {
  std::vector<std::string> warnings;
  if (now >= not_after_) warnings.emplace_back("it is out of date");
  if (now < not_before_) warnings.emplace_back("it is not valid yet");
  X509* above = leaf();
  for (int i = 0; i < sk_X509_num(chain()); ++i) {
    X509* next = sk_X509_value(chain(), i);
    if (X509_check_issued(next, above) != X509_V_OK) {
      warnings.emplace_back(
          "its chain is out of order: each certificate must have been issued by the next");
      return warnings;
    }
    above = next;
  }
  if (sk_X509_num(chain()) == 0 && !SelfSigned(leaf())) {
    warnings.emplace_back(
        "the certificate of its issuer is not in the file: some clients will not trust it");
  }
  return warnings;
}

Result<std::shared_ptr<const Certificate>> MakeSelfSigned(const std::string& name, WallTime now) {
  const X509Handle made(X509_new());
  const KeyHandle key(EVP_EC_gen("P-256"));
  if (made == nullptr || key == nullptr) return OpensslError("OpenSSL makes no key");
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  constexpr int kDays = 3650;
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  std::time_t at = seconds;
  X509_time_adj_ex(X509_getm_notBefore(made.get()), -1, 0, &at);
  X509_time_adj_ex(X509_getm_notAfter(made.get()), kDays, 0, &at);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject,
                             "CN",
                             MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()),
                             -1,
                             -1,
                             0);
  X509_set_issuer_name(made.get(), subject);
  X509_set_pubkey(made.get(), key.get());
  if (X509_sign(made.get(), key.get(), EVP_sha256()) == 0) {
    return OpensslError("OpenSSL signs no certificate");
  }
  const BioHandle chain(BIO_new(BIO_s_mem()));
  const BioHandle private_key(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(chain.get(), made.get()) == 1);
  CHECK(PEM_write_bio_PrivateKey(
            private_key.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Certificate::Parse(tls::TextOf(chain.get()), tls::TextOf(private_key.get()));
}

PeerCertificate Describe(const X509& certificate) {
  PeerCertificate found;
  found.subject = NameText(X509_get_subject_name(&certificate));
  found.issuer = NameText(X509_get_issuer_name(&certificate));
  const ASN1_INTEGER* serial = X509_get0_serialNumber(&certificate);
  found.serial =
      Hex(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CHECK(X509_digest(&certificate, EVP_sha256(), digest.data(), &size) == 1);
  found.fingerprint = Hex(digest.data(), size);
  return found;
}

}  // namespace onebox::tls
