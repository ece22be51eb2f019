#include "tls/certificate.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/testing.h"

namespace onebox::tls {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Issue;
using testing::Issued;
using testing::kNow;

TEST(Certificate, KnowsItsNamesItsTimesAndItsKey) {
  const Issued issued = Issue({.common_name = "ignored",
                               .alternatives = "DNS:Game.Example,DNS:*.play.example,IP:10.0.0.1"});
  const auto parsed = Certificate::Parse(issued.CertificatePem(), issued.KeyPem());
  ASSERT_TRUE(parsed.ok());
  const Certificate& certificate = *parsed.value();
  EXPECT_THAT(certificate.names(), ElementsAre("game.example", "*.play.example", "10.0.0.1"));
  EXPECT_EQ(certificate.kind(), KeyKind::kEcdsa);
  EXPECT_EQ(certificate.subject(), "CN=ignored");
  EXPECT_EQ(certificate.not_before(), kNow - std::chrono::hours(24));
  EXPECT_EQ(certificate.not_after(), kNow + std::chrono::hours(24 * 90));
  EXPECT_THAT(certificate.Warnings(kNow), IsEmpty());

  const Issued old = Issue({.common_name = "Old.Example", .kind = KeyKind::kEd25519});
  const auto by_common_name = Certificate::Parse(old.CertificatePem(), old.KeyPem());
  EXPECT_THAT(by_common_name.value()->names(), ElementsAre("old.example"));
  EXPECT_EQ(by_common_name.value()->kind(), KeyKind::kEd25519);
}

TEST(Certificate, SaysWhatIsWrongWithItsFiles) {
  const Issued issued = Issue({.common_name = "game.example"});
  const Issued other = Issue({.common_name = "other.example"});
  const std::string locked =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI"
      "\n-----END ENCRYPTED PRIVATE KEY-----\n";
  struct Case {
    std::string chain;
    std::string key;
    const char* said;
  };
  const Case cases[] = {
      {"", issued.KeyPem(), "no certificate in PEM form"},
      {"not PEM", issued.KeyPem(), "no certificate in PEM form"},
      {issued.KeyPem(), issued.KeyPem(), "no certificate in PEM form"},
      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
       issued.KeyPem(),
       "a certificate cannot be read"},
      {issued.CertificatePem(), "", "no private key in PEM form"},
      {issued.CertificatePem(), issued.CertificatePem(), "no private key in PEM form"},
      {issued.CertificatePem(),
       other.KeyPem(),
       "the private key is not the one of the certificate"},
  };
  for (const Case& one : cases) {
    const auto parsed = Certificate::Parse(one.chain, one.key);
    ASSERT_FALSE(parsed.ok());
    EXPECT_THAT(parsed.error().message, HasSubstr(one.said));
  }
  EXPECT_FALSE(Certificate::Parse(issued.CertificatePem(), locked).ok());
}

TEST(Certificate, AsksForNoPassword) {
  const Issued issued = Issue({.common_name = "game.example"});
  const BioHandle bio(BIO_new(BIO_s_mem()));
  char password[] = "secret";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(
                bio.get(), issued.key.get(), EVP_aes_128_cbc(), password, 6, nullptr, nullptr),
            1);
  const auto parsed = Certificate::Parse(issued.CertificatePem(), TextOf(bio.get()));
  ASSERT_FALSE(parsed.ok());
  EXPECT_THAT(parsed.error().message, HasSubstr("the private key is encrypted"));
}

TEST(Certificate, WarnsOfWhatClientsWillNotAccept) {
  const Issued root = Issue({.common_name = "Root", .authority = true});
  const Issued middle = Issue({.common_name = "Middle", .authority = true}, &root);
  const Issued leaf = Issue({.common_name = "game.example"}, &middle);
  const auto warnings = [&](const std::string& chain, WallTime now) {
    return Certificate::Parse(chain, leaf.KeyPem()).value()->Warnings(now);
  };
  const std::string whole = leaf.CertificatePem() + middle.CertificatePem();
  EXPECT_THAT(warnings(whole, kNow), IsEmpty());
  EXPECT_THAT(warnings(whole + root.CertificatePem(), kNow), IsEmpty());
  EXPECT_THAT(warnings(leaf.CertificatePem(), kNow),
              ElementsAre(HasSubstr("issuer is not in the file")));
  EXPECT_THAT(warnings(leaf.CertificatePem() + root.CertificatePem(), kNow),
              ElementsAre(HasSubstr("out of order")));
  EXPECT_THAT(warnings(whole, kNow + std::chrono::hours(24 * 91)),
              ElementsAre(HasSubstr("out of date")));
  EXPECT_THAT(warnings(whole, kNow - std::chrono::hours(48)),
              ElementsAre(HasSubstr("not valid yet")));
}

TEST(Staple, IsTakenOnlyIfItSaysGoodNowAboutThisCertificate) {
  const Issued root = Issue({.common_name = "Root", .authority = true});
  const Issued stranger = Issue({.common_name = "Root", .authority = true});
  const Issued leaf = Issue({.common_name = "game.example"}, &root);
  const Issued other = Issue({.common_name = "other.example"}, &root);
  const auto parsed =
      Certificate::Parse(leaf.CertificatePem() + root.CertificatePem(), leaf.KeyPem()).value();
  const WallTime from = kNow - std::chrono::hours(1);
  const WallTime until = kNow + std::chrono::hours(1);
  struct Case {
    std::string der;
    const char* said;
  };
  const int good = V_OCSP_CERTSTATUS_GOOD;
  const Case cases[] = {
      {testing::RespondAbout(leaf, root, good, from, until), nullptr},
      {testing::RespondAbout(leaf, root, V_OCSP_CERTSTATUS_REVOKED, from, until), "revoked"},
      {testing::RespondAbout(leaf, root, V_OCSP_CERTSTATUS_UNKNOWN, from, until), "unknown"},
      {testing::RespondAbout(leaf, root, good, from, kNow), "out of date"},
      {testing::RespondAbout(leaf, root, good, kNow + std::chrono::hours(1), until),
       "not valid yet"},
      {testing::RespondAbout(other, root, good, from, until), "about another certificate"},
      {testing::RespondAbout(leaf, stranger, good, from, until), "not signed by the issuer"},
      {"", "no OCSP response"},
      {"\x30\x03\x0a\x01\x06", "the responder had none"},
  };
  for (const Case& one : cases) {
    const auto staple = ParseStaple(one.der, parsed->leaf(), parsed->chain(), kNow);
    EXPECT_EQ(staple.ok(), one.said == nullptr);
    if (staple.ok()) {
      EXPECT_EQ(staple.value().valid_until, until);
    } else if (one.said != nullptr) {
      EXPECT_THAT(staple.error().message, HasSubstr(one.said));
    }
  }
}

}  // namespace
}  // namespace onebox::tls
