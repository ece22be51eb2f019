// The pieces: base64url, names, keys, signatures, certificates, files, times.
#include <chrono>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "acme/base64url.h"
#include "acme/certificate.h"
#include "acme/client.h"
#include "acme/jws.h"
#include "acme/key.h"
#include "acme/name.h"
#include "acme/openssl.h"
#include "acme/renewal.h"
#include "acme/store.h"
#include "base/json.h"
#include "os/file.h"
#include "os/replace.h"
#include "os/testing.h"
#include "tls/certificate.h"

namespace onebox::acme {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const WallTime kNow{seconds(1'700'000'000)};

TEST(Base64Url, IsWhatTheStandardSaysBothWays) {
  for (const auto& [bytes, text] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", ""},
           {"f", "Zg"},
           {"fo", "Zm8"},
           {"foo", "Zm9v"},
           {"foob", "Zm9vYg"},
           {"\xfb\xff\xbf", "-_-_"},
           {std::string("\0\0", 2), "AAA"}}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(ToBase64Url(bytes), text);
    EXPECT_EQ(FromBase64Url(text), bytes);
  }
  EXPECT_EQ(FromBase64Url("Zg=="), "f");
  for (const char* text : {"Z", "Zg+", "Zg/", "Zg==x", " ", "Zm9vY"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(FromBase64Url(text), std::nullopt);
  }
}

TEST(ParseName, TakesHostsAndSaysWhyNot) {
  for (const auto& [text, name] : std::initializer_list<std::pair<const char*, const char*>>{
           {"game.example", "game.example"},
           {"WWW.Game.Example.", "www.game.example"},
           {"xn--bcher-kva.example", "xn--bcher-kva.example"},
           {"1.example", "1.example"}}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(ParseName(text).value(), name);
  }
  for (const auto& [text, why] :
       std::initializer_list<std::pair<const char*, const char*>>{{"*.game.example", "DNS"},
                                                                  {"b\xc3\xbc"
                                                                   "cher.example",
                                                                   "xn--"},
                                                                  {"", "no name"},
                                                                  {"localhost", "dot"},
                                                                  {"127.0.0.1", "address"},
                                                                  {"game..example", "no name"},
                                                                  {"../../etc.passwd", "no name"},
                                                                  {"a/b.example", "no name"},
                                                                  {"-a.example", "no name"},
                                                                  {"a_b.example", "no name"},
                                                                  {"::1", "no name"}}) {
    SCOPED_TRACE(text);
    const auto parsed = ParseName(text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_THAT(parsed.error().message, HasSubstr(why));
  }
  EXPECT_FALSE(ParseName(std::string(64, 'a') + ".example").ok());
  EXPECT_FALSE(ParseName(std::string(300, 'a')).ok());
}

TEST(Key, IsTheSameAfterItsFile) {
  for (const KeyKind kind : {KeyKind::kEcdsa, KeyKind::kRsa}) {
    const Key key = Key::New(kind).value();
    EXPECT_EQ(key.IsP256(), kind == KeyKind::kEcdsa);
    EXPECT_EQ(Key::FromPem(key.Pem()).value().Pem(), key.Pem());
  }
  EXPECT_FALSE(Key::FromPem("").ok());
  EXPECT_FALSE(Key::FromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").ok());
}

// RFC 7638 section 3: without spaces, and in the order of their names.
TEST(Thumbprint, IsOfTheKeysOwnMembersInOrder) {
  const Key key = Key::New(KeyKind::kEcdsa).value();
  const json jwk = PublicJwk(key);
  const std::string text = R"({"crv":"P-256","kty":"EC","x":")" + Text(At(jwk, "x")) +
                           R"(","y":")" + Text(At(jwk, "y")) + R"("})";
  EXPECT_EQ(Thumbprint(key), ToBase64Url(Sha256(text)));
  EXPECT_EQ(FromBase64Url(Text(At(jwk, "x")))->size(), 32U);
}

bool Verifies(const Key& key, const std::string& text, const std::string& signature) {
  const auto half = [&](std::size_t at) {
    return BN_bin2bn(BytesIn(std::string_view(signature).substr(at, 32)), 32, nullptr);
  };
  const Owned<ECDSA_SIG, ECDSA_SIG_free> numbers(ECDSA_SIG_new());
  ECDSA_SIG_set0(numbers.get(), half(0), half(32));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(numbers.get(), &der);
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> verifier(EVP_MD_CTX_new());
  EVP_DigestVerifyInit(verifier.get(), nullptr, EVP_sha256(), nullptr, key.get());
  const int verified = EVP_DigestVerify(
      verifier.get(), der, static_cast<std::size_t>(size), BytesIn(text), text.size());
  OPENSSL_free(der);
  return verified == 1;
}

TEST(Signed, VerifiesByTheKeyWhateverTheNumbersAre) {
  const Key key = Key::New(KeyKind::kEcdsa).value();
  for (int i = 0; i < 300; ++i) {  // one of 256 numbers begins with a zero byte
    const json jws = json::parse(Signed({{"url", "https://ca.test/x"}}, std::to_string(i), key));
    const std::string text = Text(At(jws, "protected")) + "." + Text(At(jws, "payload"));
    const auto signature = FromBase64Url(Text(At(jws, "signature")));
    ASSERT_EQ(signature->size(), 64U);
    ASSERT_TRUE(Verifies(key, text, *signature)) << i;
  }
  const json jws = json::parse(Signed({{"kid", "1"}}, "", key));
  EXPECT_EQ(Text(At(jws, "payload")), "") << "POST-as-GET";
  EXPECT_EQ(*FromBase64Url(Text(At(jws, "protected"))), R"({"alg":"ES256","kid":"1"})");
}

// RFC 4231, test case 2.
TEST(HmacSha256, IsTheStandards) {
  EXPECT_EQ(ToBase64Url(HmacSha256("Jefe", "what do ya want for nothing?")),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
}

TEST(Placeholder, CanServeItsNameAndSaysWhatItIs) {
  const Key key = Key::New(KeyKind::kEcdsa).value();
  const std::string pem = MakePlaceholder("game.example", key, kNow).value();
  const Facts facts = CheckChain(pem, "game.example", key).value();
  EXPECT_TRUE(facts.placeholder);
  EXPECT_THAT(facts.names, ElementsAre("game.example"));
  EXPECT_LT(facts.not_before, kNow);
  EXPECT_GT(facts.not_after, kNow + hours(24 * 300));
}

TEST(CheckChain, RefusesWhatCannotServe) {
  const Key key = Key::New(KeyKind::kEcdsa).value();
  const Key other = Key::New(KeyKind::kEcdsa).value();
  const std::string pem = MakePlaceholder("game.example", key, kNow).value();
  const std::string stranger = MakePlaceholder("stranger.example", other, kNow).value();
  struct Case {
    std::string pem, name, why;
    const Key& key;
  };
  const Case cases[] = {
      {pem, "game.example", "not the one of the certificate", other},
      {pem, "www.game.example", "other names", key},
      {pem + stranger, "game.example", "its chain", key},
      {"", "game.example", "no certificate", key},
      {pem.substr(0, pem.size() / 2), "game.example", "cannot be read", key},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    const auto checked = CheckChain(one.pem, one.name, one.key);
    ASSERT_FALSE(checked.ok());
    EXPECT_THAT(checked.error().message, HasSubstr(one.why));
  }
}

TEST(CheckTime, RefusesWhatDoesNotHoldNow) {
  const Facts facts{.names = {}, .issuer = {}, .not_before = kNow, .not_after = kNow + hours(48)};
  EXPECT_TRUE(CheckTime(facts, "x", kNow).ok());
  EXPECT_TRUE(CheckTime(facts, "x", kNow - minutes(30)).ok()) << "our clock may be late";
  EXPECT_THAT(CheckTime(facts, "x", kNow - hours(2)).error().message, HasSubstr("not hold yet"));
  EXPECT_THAT(CheckTime(facts, "x", kNow + hours(48)).error().message, HasSubstr("expired"));
}

TEST(ChallengeCertificate, HasTheDigestInACriticalExtension) {
  const Key key = Key::New(KeyKind::kEcdsa).value();
  const std::string pem =
      MakeChallengeCertificate("game.example", "token.print", key, kNow).value();
  const auto certificate = tls::Certificate::Parse(pem, key.Pem()).value();
  EXPECT_THAT(certificate->names(), ElementsAre("game.example"));
  const Owned<ASN1_OBJECT, ASN1_OBJECT_free> type(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
  const int at = X509_get_ext_by_OBJ(certificate->leaf(), type.get(), -1);
  ASSERT_GE(at, 0);
  X509_EXTENSION* extension = X509_get_ext(certificate->leaf(), at);
  EXPECT_EQ(X509_EXTENSION_get_critical(extension), 1);
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
  const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                          static_cast<std::size_t>(ASN1_STRING_length(value)));
  EXPECT_EQ(bytes, "\x04\x20" + Sha256("token.print"));
}

TEST(MakeRequest, IsSignedAndHasTheName) {
  for (const KeyKind kind : {KeyKind::kEcdsa, KeyKind::kRsa}) {
    const Key key = Key::New(kind).value();
    const std::string der = MakeRequest("game.example", key).value();
    const unsigned char* at = BytesIn(der);
    const Owned<X509_REQ, X509_REQ_free> request(
        d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(X509_REQ_verify(request.get(), key.get()), 1);
    EXPECT_THAT(der, HasSubstr("game.example"));
  }
}

TEST(RenewAt, IsAtTwoThirdsOrALittleBefore) {
  const Facts facts{
      .names = {}, .issuer = {}, .not_before = kNow, .not_after = kNow + hours(24 * 90)};
  for (const std::uint64_t random :
       {std::uint64_t{0}, std::uint64_t{12345678901234}, ~std::uint64_t{0}}) {
    const WallTime at = RenewAt(facts, kNow, random);
    EXPECT_LE(at, kNow + hours(24 * 60));
    EXPECT_GE(at, kNow + hours(24 * 57));
  }
  EXPECT_NE(RenewAt(facts, kNow, 0), RenewAt(facts, kNow, 12345678901234));
}

TEST(RenewAt, LeavesTimeWhereTheClockIsWrong) {
  const Facts facts{
      .names = {}, .issuer = {}, .not_before = kNow, .not_after = kNow + hours(24 * 90)};
  const WallTime late = kNow + hours(24 * 87);
  EXPECT_EQ(RenewAt(facts, late, 0), late + hours(24));
}

TEST(PauseAfter, DoublesFromAMinuteToADay) {
  EXPECT_EQ(PauseAfter(1, {}, 0), minutes(1));
  EXPECT_EQ(PauseAfter(2, {}, 0), minutes(2));
  EXPECT_EQ(PauseAfter(5, {}, 0), minutes(16));
  EXPECT_EQ(PauseAfter(12, {}, 0), hours(24));
  EXPECT_EQ(PauseAfter(1000, {}, 0), hours(24));
  EXPECT_EQ(PauseAfter(2, hours(3), 0), hours(3)) << "the authority asks for more";
  for (std::uint64_t random = 0; random < 100; ++random) {
    const Duration pause = PauseAfter(3, {}, random * 0x9E3779B97F4A7C15U);
    EXPECT_LE(pause, minutes(4));
    EXPECT_GE(pause, minutes(3));
  }
}

TEST(ParseRetryAfter, ReadsSecondsAndDates) {
  EXPECT_EQ(ParseRetryAfter("120", kNow), seconds(120));
  EXPECT_EQ(ParseRetryAfter("Tue, 14 Nov 2023 22:14:20 GMT", kNow), seconds(60));
  EXPECT_EQ(ParseRetryAfter("Tue, 14 Nov 2023 22:00:00 GMT", kNow), seconds(0));
  EXPECT_EQ(ParseRetryAfter("999999999", kNow), kRetryAfterMax);
  for (const char* text : {"", "-1", "soon", "1.5", "99999999999999999999"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(ParseRetryAfter(text, kNow), Duration());
  }
}

// --- files

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { EXPECT_TRUE(store_.Prepare().ok()); }
  std::string Path(const std::string& rest) const { return folder_.path() + "/acme/" + rest; }
  static unsigned ModeOf(const std::string& path) {
    return static_cast<unsigned>(std::filesystem::status(path).permissions());
  }

  os::TemporaryFolder folder_{"acme"};
  Store store_{folder_.path() + "/acme"};
  const Key key_ = Key::New(KeyKind::kEcdsa).value();
};

TEST_F(StoreTest, KeepsTheAccountForItself) {
  const std::string first = store_.AccountKey().value().Pem();
  EXPECT_EQ(store_.AccountKey().value().Pem(), first);
  EXPECT_EQ(ModeOf(Path("account.pem")), 0600U);
  EXPECT_EQ(ModeOf(Path("")), 0700U);
  ASSERT_TRUE(store_.SetAccountAside().ok());
  EXPECT_NE(store_.AccountKey().value().Pem(), first);
  EXPECT_EQ(os::ReadFile(Path("account.pem.refused"), 10000).value(), first);
}

TEST_F(StoreTest, DoesNotReplaceAnAccountThatCannotBeRead) {
  std::ofstream(Path("account.pem")) << "garbage";
  EXPECT_FALSE(store_.AccountKey().ok());
  EXPECT_EQ(os::ReadFile(Path("account.pem"), 100).value(), "garbage");
}

TEST_F(StoreTest, GivesACertificateBackWithItsKeyOrNothing) {
  EXPECT_FALSE(store_.ReadCertificate("game.example"));
  const std::string chain = MakePlaceholder("game.example", key_, kNow).value();
  ASSERT_TRUE(store_.SaveCertificate("game.example", chain, key_).ok());
  EXPECT_EQ(store_.ReadCertificate("game.example")->chain, chain);
  EXPECT_EQ(ModeOf(Path("certificates/game.example/key.pem")), 0600U);
  std::vector<std::string> listed;
  for (const auto& entry : std::filesystem::directory_iterator(Path("certificates"))) {
    listed.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(listed, ElementsAre("game.example"));
  ASSERT_TRUE(os::ReplaceFile(Path("certificates/game.example/key.pem"),
                              Key::New(KeyKind::kEcdsa).value().Pem())
                  .ok());
  EXPECT_FALSE(store_.ReadCertificate("game.example")) << "a key that does not fit";
}

TEST_F(StoreTest, RemembersAnOrderUntilItIsForgotten) {
  EXPECT_FALSE(store_.ReadOrder("game.example"));
  ASSERT_TRUE(store_
                  .SaveOrder("game.example",
                             {"x", "https://ca.test/order/1", Key::FromPem(key_.Pem()).value()})
                  .ok());
  const auto order = store_.ReadOrder("game.example");
  ASSERT_TRUE(order);
  EXPECT_EQ(order->url, "https://ca.test/order/1");
  EXPECT_EQ(order->key.Pem(), key_.Pem());
  store_.ForgetOrder("game.example");
  EXPECT_FALSE(store_.ReadOrder("game.example"));
}

TEST_F(StoreTest, RemembersWhatHasFailedAndBelievesNoGarbage) {
  NameState state{.made_for = "dir ecdsa",
                  .renew_at = kNow,
                  .attempts = 7,
                  .attempted_at = kNow,
                  .failures = 3,
                  .next_attempt = kNow + hours(1),
                  .error_kind = "dns",
                  .error = "no such \xff name"};
  ASSERT_TRUE(store_.SaveState("game.example", state).ok());
  const NameState read = store_.ReadState("game.example");
  EXPECT_EQ(read.made_for, state.made_for);
  EXPECT_EQ(read.renew_at, kNow);
  EXPECT_EQ(read.failures, 3U);
  EXPECT_EQ(read.next_attempt, kNow + hours(1));
  EXPECT_EQ(read.error_kind, "dns");
  for (const char* text :
       {"", "[]", "{\"failures\":-3}", "{\"failures\":1e300,\"renew_at\":\"x\"}", "{"}) {
    SCOPED_TRACE(text);
    std::ofstream(Path("state/game.example.json")) << text;
    EXPECT_EQ(store_.ReadState("game.example").failures, 0U);
  }
}

TEST_F(StoreTest, ForgetsAnswersThatWereLeft) {
  ASSERT_TRUE(store_.PublishHttp("token", "token.print").ok());
  ASSERT_TRUE(store_.PublishAlpn("game.example", "pem").ok());
  EXPECT_EQ(os::ReadFile(Path("http/token"), 100).value(), "token.print");
  ASSERT_TRUE(store_.Prepare().ok());
  EXPECT_FALSE(std::filesystem::exists(Path("http/token")));
  EXPECT_FALSE(std::filesystem::exists(Path("alpn/game.example.pem")));
}

}  // namespace
}  // namespace onebox::acme
