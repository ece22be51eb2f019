#include "tls/session.h"

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "tls/testing.h"

namespace onebox::tls {
namespace {

using testing::Deliver;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Issue;
using testing::Issued;
using testing::kNow;
using testing::Pair;

using Certificates = std::vector<std::shared_ptr<const Certificate>>;

const Issued& Authority() {
  static const Issued* const made =
      new Issued(Issue({.common_name = "Test CA", .authority = true}));
  return *made;
}

std::shared_ptr<const Certificate> Load(const Issued& issued) {
  auto loaded =
      Certificate::Parse(issued.CertificatePem() + Authority().CertificatePem(), issued.KeyPem());
  CHECK(loaded.ok());
  return loaded.value();
}

std::shared_ptr<const Certificate> For(const std::string& name, KeyKind kind = KeyKind::kEcdsa) {
  return Load(
      Issue({.common_name = name, .alternatives = "DNS:" + name, .kind = kind}, &Authority()));
}

std::shared_ptr<const Certificate> Game() {
  static const auto* const made = new std::shared_ptr<const Certificate>(For("game.example"));
  return *made;
}

std::shared_ptr<const ServerContext> Server(const ServerSettings& settings = {},
                                            const Certificates& certificates = {Game()}) {
  auto made = ServerContext::Make(settings, certificates);
  CHECK(made.ok());
  return made.value();
}

std::shared_ptr<const ClientContext> Client(ClientSettings settings = {}) {
  if (settings.ca_pem.empty()) settings.ca_pem = Authority().CertificatePem();
  auto made = ClientContext::Make(settings);
  CHECK(made.ok());
  return made.value();
}

// A client that the profile does not make: what it speaks is set on its SSL_CTX.
std::shared_ptr<const ClientContext> ClientWith(void (*change)(SSL_CTX*)) {
  auto client = Client();
  change(client->ssl_context());
  return client;
}

std::string Sample(std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i)
    bytes += static_cast<char>('a' + i * i % 23);
  return bytes;
}

TEST(TlsSession, CarriesBytesBothWays) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    Pair pair(version == Version::kTls13 ? Client() : ClientWith([](SSL_CTX* context) {
                SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
              }),
              Server(),
              "game.example");
    pair.Handshake();
    ASSERT_TRUE(pair.open()) << pair.client.FailureText() << ", " << pair.server.FailureText();
    EXPECT_EQ(pair.server.version(), version == Version::kTls13 ? "TLSv1.3" : "TLSv1.2");
    EXPECT_EQ(pair.server.protocol(), "http/1.1");
    EXPECT_EQ(pair.server.server_name(), "game.example");
    EXPECT_EQ(pair.client.peer()->subject, "CN=game.example");
    EXPECT_FALSE(pair.server.peer().has_value());

    const std::string large = Sample(200'000);
    EXPECT_TRUE(pair.client.Send("GET / HTTP/1.1\r\n\r\n", pair.to_server));
    EXPECT_TRUE(pair.server.Send(large, pair.to_client));
    pair.Exchange();
    EXPECT_EQ(pair.at_server, "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(pair.at_client, large);
    EXPECT_EQ(pair.server.held(), 0U);

    pair.client.End(pair.to_server);
    pair.Exchange();
    EXPECT_EQ(pair.server.state(), Session::State::kEnded);
    EXPECT_TRUE(pair.server.Send("the last of it", pair.to_client));
    pair.server.End(pair.to_client);
    pair.Exchange();
    EXPECT_EQ(pair.at_client, large + "the last of it");
    EXPECT_EQ(pair.client.state(), Session::State::kEnded);
  }
}

TEST(TlsSession, DoesNotCareHowTheBytesArrive) {
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 7U, 100U, 1000U}) {
    SCOPED_TRACE(piece);
    Pair pair(Client(), Server(), "game.example");
    pair.piece = piece;
    pair.Handshake();
    ASSERT_TRUE(pair.open());
    const std::string large = Sample(40'000);
    EXPECT_TRUE(pair.client.Send(large, pair.to_server));
    EXPECT_TRUE(pair.client.Send("x", pair.to_server));
    pair.client.End(pair.to_server);
    pair.Exchange();
    EXPECT_EQ(pair.at_server, large + "x");
    EXPECT_EQ(pair.server.state(), Session::State::kEnded);
  }
}

TEST(TlsSession, KeepsNoMoreThanTheBeginOfARecord) {
  Pair pair(Client(), Server(), "game.example");
  pair.Handshake();
  std::string sent;
  ASSERT_TRUE(pair.client.Send(Sample(16'384), sent));
  std::string answer;
  Deliver(
      pair.server, std::string_view(sent).substr(0, sent.size() - 1), 1000, pair.at_server, answer);
  EXPECT_EQ(pair.at_server, "");
  EXPECT_EQ(pair.server.held(), sent.size() - 1);
  EXPECT_LT(pair.server.held(), 17U << 10U);
  Deliver(pair.server, std::string_view(sent).substr(sent.size() - 1), 1, pair.at_server, answer);
  EXPECT_EQ(pair.at_server.size(), 16'384U);
  EXPECT_EQ(pair.server.held(), 0U);
}

TEST(TlsSession, SaysWhyItFailed) {
  struct Case {
    const char* why;
    Failure failure;
    void (*change)(SSL_CTX*);
    ServerSettings server;
  };
  ServerSettings modern;
  modern.version_min = Version::kTls13;
  ServerSettings required;
  required.client_certificates = ClientCertificates::kRequire;
  required.client_ca_pem = Authority().CertificatePem();
  const Case cases[] = {
      {"a client of TLS 1.2 where 1.3 is the least",
       Failure::kVersion,
       [](SSL_CTX* context) { SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION); },
       modern},
      {"TLS 1.1",
       Failure::kVersion,
       [](SSL_CTX* context) {
         SSL_CTX_set_security_level(context, 0);
         SSL_CTX_set_min_proto_version(context, TLS1_1_VERSION);
         SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
         SSL_CTX_set_cipher_list(context, "ALL");
       },
       {}},
      {"a cipher that the profile does not have",
       Failure::kNothingShared,
       [](SSL_CTX* context) {
         SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
         SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-SHA256");
       },
       {}},
      {"a group that the profile does not have",
       Failure::kNothingShared,
       [](SSL_CTX* context) { SSL_CTX_set1_groups_list(context, "P-521"); },
       {}},
      {"a protocol that nobody speaks here",
       Failure::kNoProtocol,
       [](SSL_CTX* context) {
         const unsigned char list[] = {4, 's', 'm', 't', 'p'};
         SSL_CTX_set_alpn_protos(context, list, sizeof list);
       },
       {}},
      {"no certificate where one is required",
       Failure::kPeerCertificate,
       [](SSL_CTX* /*context*/) {},
       required},
      {"a client that does not trust us",
       Failure::kRefusedByPeer,
       [](SSL_CTX* context) { SSL_CTX_set_cert_store(context, X509_STORE_new()); },
       {}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    Pair pair(ClientWith(one.change), Server(one.server), "game.example");
    pair.Handshake();
    EXPECT_EQ(pair.server.state(), Session::State::kFailed);
    EXPECT_EQ(Label(pair.server.failure()), Label(one.failure)) << pair.server.FailureText();
    EXPECT_EQ(pair.client.state(), Session::State::kFailed);  // it was told, or told us
    EXPECT_FALSE(pair.server.FailureText().empty());
  }
}

TEST(TlsSession, SaysThatWhatCameIsNoTls) {
  Session server(Server(), kNow);
  std::string plaintext;
  std::string answer;
  Deliver(server, "GET / HTTP/1.1\r\n\r\n", 1, plaintext, answer);
  EXPECT_EQ(server.failure(), Failure::kNotTls);
  EXPECT_EQ(answer, "");
  EXPECT_EQ(plaintext, "");
}

TEST(TlsSession, EndsAtABrokenRecord) {
  struct Case {
    const char* why;
    std::string bytes;
    bool told;  // by an alert: where there was enough to judge for OpenSSL
  };
  const Case cases[] = {
      {"a record that is too long", std::string("\x17\x03\x03\xff\xff", 5), true},
      {"of another major version", std::string("\x17\x05\x03\x00\x01x", 6), false},
      {"of an unknown kind", std::string("\x63\x03\x03\x00\x01x", 6), false},
      {"not sealed with the key",
       std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'),
       true},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.why);
    Pair pair(Client(), Server(), "game.example");
    pair.Handshake();
    ASSERT_TRUE(pair.open());
    std::string answer;
    Deliver(pair.server, one.bytes, 1, pair.at_server, answer);
    EXPECT_EQ(pair.server.state(), Session::State::kFailed);
    EXPECT_EQ(pair.server.failure(), Failure::kBroken);
    EXPECT_FALSE(pair.server.Send("too late", answer));
    pair.to_client = answer;
    pair.Exchange();
    EXPECT_EQ(pair.client.state() == Session::State::kFailed, one.told);
  }
}

TEST(TlsSession, NoticesAFlippedBitAnywhere) {
  for (std::size_t at = 0; at < 200; at += 7) {
    SCOPED_TRACE(at);
    Pair pair(Client(), Server(), "game.example");
    pair.Handshake();
    std::string sent;
    ASSERT_TRUE(pair.client.Send(Sample(160), sent));
    sent[at % sent.size()] = static_cast<char>(sent[at % sent.size()] ^ 1);
    std::string answer;
    Deliver(pair.server, sent, 64, pair.at_server, answer);
    EXPECT_EQ(pair.at_server, "");
  }
}

TEST(TlsSession, ShowsTheCertificateOfTheNameThatIsAskedFor) {
  const auto shop = For("shop.example");
  const auto any = For("*.play.example");
  const auto server = Server({}, {Game(), shop, any});
  struct Case {
    const char* asked;
    const char* shown;
  };
  const Case cases[] = {
      {"game.example", "CN=game.example"},
      {"shop.example", "CN=shop.example"},
      {"SHOP.example", "CN=shop.example"},
      {"one.play.example", "CN=*.play.example"},
      {"two.one.play.example", "CN=game.example"},
      {"play.example", "CN=game.example"},
      {"unknown.example", "CN=game.example"},
      {"127.0.0.1", "CN=game.example"},
  };
  ClientSettings trusting;
  trusting.verify = Verify::kNothing;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.asked);
    Pair pair(Client(trusting), server, one.asked);
    pair.Handshake();
    ASSERT_TRUE(pair.open());
    EXPECT_EQ(pair.client.peer()->subject, one.shown);
  }
}

TEST(TlsSession, ChoosesBetweenEcdsaAndRsaByWhatTheClientCanDo) {
  const auto rsa = For("game.example", KeyKind::kRsa);
  for (const Certificates& order : {Certificates{Game(), rsa}, Certificates{rsa, Game()}}) {
    const auto server = Server({}, order);
    Pair modern(Client(), server, "game.example");
    modern.Handshake();
    ASSERT_TRUE(modern.open());
    // Its CA signs with ECDSA, which this client cannot check.
    ClientSettings trusting;
    trusting.verify = Verify::kNothing;
    const auto context = Client(trusting);
    SSL_CTX_set1_sigalgs_list(context->ssl_context(), "RSA-PSS+SHA256:RSA+SHA256");
    Pair rsa_alone(context, server, "game.example");
    rsa_alone.Handshake();
    ASSERT_TRUE(rsa_alone.open()) << rsa_alone.server.FailureText();
    EXPECT_NE(modern.client.peer()->fingerprint, rsa_alone.client.peer()->fingerprint);
    EXPECT_EQ(rsa_alone.client.peer()->fingerprint, Describe(*rsa->leaf()).fingerprint);
    EXPECT_EQ(modern.client.peer()->fingerprint, Describe(*Game()->leaf()).fingerprint);
  }
}

TEST(TlsSession, AgreesOnTheServersPreferredProtocol) {
  ServerSettings settings;
  settings.protocols = {"h2", "http/1.1"};
  ClientSettings both;
  both.protocols = {"http/1.1", "h2"};
  Pair pair(Client(both), Server(settings), "game.example");
  pair.Handshake();
  EXPECT_EQ(pair.server.protocol(), "h2");

  ClientSettings silent;
  silent.protocols = {};
  Pair without(Client(silent), Server(settings), "game.example");
  without.Handshake();
  ASSERT_TRUE(without.open());
  EXPECT_EQ(without.server.protocol(), "");
}

TEST(TlsSession, ProvesANameToACertificateAuthority) {
  ServerSettings settings;
  const auto proof = For("proof.example");
  settings.challenge = [&](const std::string& name) {
    return name == "game.example" ? proof : nullptr;
  };
  const auto server = Server(settings);
  ClientSettings authority;
  authority.verify = Verify::kNothing;
  authority.protocols = {std::string(kChallengeProtocol)};
  Pair pair(Client(authority), server, "Game.example");
  pair.Handshake();
  ASSERT_TRUE(pair.open()) << pair.server.FailureText();
  EXPECT_EQ(pair.server.protocol(), kChallengeProtocol);
  EXPECT_EQ(pair.client.peer()->subject, "CN=proof.example");

  Pair unknown(Client(authority), server, "other.example");
  unknown.Handshake();
  EXPECT_EQ(unknown.server.state(), Session::State::kFailed);

  // Offered beside another it is no challenge.
  authority.protocols = {std::string(kChallengeProtocol), "http/1.1"};
  Pair browser(Client(authority), server, "game.example");
  browser.Handshake();
  ASSERT_TRUE(browser.open());
  EXPECT_EQ(browser.client.peer()->subject, "CN=game.example");
  EXPECT_EQ(browser.server.protocol(), "http/1.1");
}

// --- resumption

TicketKeys::Secret SecretOf(char byte) {
  TicketKeys::Secret secret{};
  secret.fill(static_cast<std::uint8_t>(byte));
  return secret;
}

constexpr Duration kRotation = std::chrono::hours(12);

ServerSettings WithTickets(std::shared_ptr<TicketKeys> keys) {
  ServerSettings settings;
  settings.tickets = std::move(keys);
  return settings;
}

// The session that a client can go on with after it has talked to `server`.
SessionHandle Earlier(const std::shared_ptr<const ClientContext>& client,
                      const std::shared_ptr<const ServerContext>& server) {
  Pair pair(client, server, "game.example");
  pair.Handshake();
  CHECK(pair.open());
  CHECK(!pair.server.resumed());
  return pair.client.resumable();
}

bool Resumes(const std::shared_ptr<const ClientContext>& client,
             const std::shared_ptr<const ServerContext>& server,
             SSL_SESSION* earlier,
             WallTime now = kNow) {
  Pair pair(client, server, "game.example", now);
  pair.client.Start(pair.to_server, earlier);
  pair.Exchange();
  CHECK(pair.open());
  return pair.server.resumed();
}

TEST(TlsSession, GoesOnWhereTheKeysAreTheSame) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    const auto client = Client();
    SSL_CTX_set_max_proto_version(client->ssl_context(), version);
    const auto keys = std::make_shared<TicketKeys>(SecretOf(1), kRotation, kNow);
    const auto one = Server(WithTickets(keys));
    const SessionHandle earlier = Earlier(client, one);
    ASSERT_NE(earlier, nullptr);
    EXPECT_TRUE(Resumes(client, one, earlier.get()));
    // Another front with the same secret, after a reload.
    const auto same = std::make_shared<TicketKeys>(SecretOf(1), kRotation, kNow);
    EXPECT_TRUE(Resumes(client, Server(WithTickets(same)), earlier.get()));
    const auto other = std::make_shared<TicketKeys>(SecretOf(2), kRotation, kNow);
    EXPECT_FALSE(Resumes(client, Server(WithTickets(other)), earlier.get()));
    // One rotation later it is still taken, two later not.
    keys->AdvanceTo(kNow + kRotation);
    EXPECT_TRUE(Resumes(client, one, earlier.get()));
    keys->AdvanceTo(kNow + 2 * kRotation);
    EXPECT_FALSE(Resumes(client, one, earlier.get()));
  }
}

TEST(TlsSession, GivesNoTicketsWhereTheyAreOff) {
  const auto client = Client();
  const auto server = Server();
  const SessionHandle earlier = Earlier(client, server);
  EXPECT_EQ(earlier, nullptr);
}

TEST(TlsSession, DoesNotGoOnWhereOtherClientsAreTrusted) {
  const auto keys = std::make_shared<TicketKeys>(SecretOf(1), kRotation, kNow);
  ServerSettings settings = WithTickets(keys);
  const auto client = Client();
  const SessionHandle earlier = Earlier(client, Server(settings));
  settings.client_certificates = ClientCertificates::kRequest;
  settings.client_ca_pem = Authority().CertificatePem();
  EXPECT_FALSE(Resumes(client, Server(settings), earlier.get()));
}

// --- certificates of clients

TEST(TlsSession, KnowsTheClientByItsCertificate) {
  ServerSettings settings;
  settings.client_ca_pem = Authority().CertificatePem();
  ClientSettings known;
  known.certificate = Load(Issue({.common_name = "operator"}, &Authority()));
  ClientSettings stranger;
  stranger.certificate = For("stranger");
  const Issued alone = Issue({.common_name = "stranger"});
  stranger.certificate = Certificate::Parse(alone.CertificatePem(), alone.KeyPem()).value();
  for (const auto mode : {ClientCertificates::kRequest, ClientCertificates::kRequire}) {
    settings.client_certificates = mode;
    const auto server = Server(settings);
    Pair pair(Client(known), server, "game.example");
    pair.Handshake();
    ASSERT_TRUE(pair.open());
    EXPECT_EQ(pair.server.peer()->subject, "CN=operator");
    EXPECT_EQ(pair.server.peer()->issuer, "CN=Test CA");
    EXPECT_EQ(pair.server.peer()->fingerprint.size(), 64U);

    Pair none(Client(), server, "game.example");
    none.Handshake();
    EXPECT_EQ(none.open(), mode == ClientCertificates::kRequest);
    EXPECT_FALSE(none.server.peer().has_value());

    Pair strange(Client(stranger), server, "game.example");
    strange.Handshake();
    EXPECT_EQ(strange.server.failure(), Failure::kPeerCertificate);

    Pair late(Client(known), server, "game.example", kNow + std::chrono::hours(24 * 91));
    late.Handshake();
    EXPECT_FALSE(late.open());
  }
}

// --- what a client of ours insists on

TEST(TlsSession, TrustsAServerOnlyWithItsNameItsIssuerAndInTime) {
  const auto at_address =
      Load(Issue({.common_name = "box", .alternatives = "IP:127.0.0.1,IP:::1"}, &Authority()));
  const auto open = [](const Certificates& shown, const std::string& host, WallTime now = kNow) {
    Pair pair(Client(), Server({}, shown), host, now);
    pair.Handshake();
    EXPECT_TRUE(pair.open() || pair.client.failure() == Failure::kPeerCertificate);
    return pair.open();
  };
  EXPECT_TRUE(open({Game()}, "game.example"));
  EXPECT_FALSE(open({Game()}, "shop.example"));
  EXPECT_FALSE(open({Game()}, "game.example", kNow + std::chrono::hours(24 * 91)));
  EXPECT_TRUE(open({at_address}, "127.0.0.1"));
  EXPECT_TRUE(open({at_address}, "::1"));
  EXPECT_FALSE(open({at_address}, "127.0.0.2"));
  const Issued alone = Issue({.common_name = "game.example", .alternatives = "DNS:game.example"});
  EXPECT_FALSE(
      open({Certificate::Parse(alone.CertificatePem(), alone.KeyPem()).value()}, "game.example"));
}

// --- OCSP

std::string StapleSeen(const std::shared_ptr<const ServerContext>& server, WallTime now) {
  const auto client = Client();
  SSL_CTX_set_tlsext_status_type(client->ssl_context(), TLSEXT_STATUSTYPE_ocsp);
  std::string seen;
  SSL_CTX_set_tlsext_status_arg(client->ssl_context(), &seen);
  SetCallback(
      client->ssl_context(), SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, +[](SSL* ssl, void* into) {
        const unsigned char* der = nullptr;
        const long size = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
        if (size > 0) {
          static_cast<std::string*>(into)->assign(reinterpret_cast<const char*>(der),
                                                  static_cast<std::size_t>(size));
        }
        return 1;
      });
  Pair pair(client, server, "game.example", now);
  pair.Handshake();
  CHECK(pair.open());
  return seen;
}

TEST(TlsSession, StaplesWhatTheAuthoritySaysUntilItIsOutOfDate) {
  const Issued issued =
      Issue({.common_name = "game.example", .alternatives = "DNS:game.example"}, &Authority());
  const auto plain = Load(issued);
  const std::string good = testing::RespondAbout(issued,
                                                 Authority(),
                                                 V_OCSP_CERTSTATUS_GOOD,
                                                 kNow - std::chrono::hours(1),
                                                 kNow + std::chrono::hours(24));
  const auto staple = ParseStaple(good, plain->leaf(), plain->chain(), kNow);
  ASSERT_TRUE(staple.ok()) << staple.error().message;
  const auto server = Server({}, {plain->With(staple.value())});
  EXPECT_EQ(StapleSeen(server, kNow), good);
  EXPECT_EQ(StapleSeen(server, kNow + std::chrono::hours(25)), "");
  EXPECT_EQ(StapleSeen(Server({}, {plain}), kNow), "");
}

// --- anything at all

TEST(TlsSession, SurvivesWhatFuzzingFound) {
  static const std::shared_ptr<const ServerContext> server = Server();
  EXPECT_GT(ReplayFuzzed("tls_session_fuzz",
                         [](std::string_view input) {
                           Session session(server, kNow);
                           std::string plaintext;
                           std::string answer;
                           Deliver(session, input, 1000, plaintext, answer);
                           CHECK(plaintext.empty());
                         }),
            0);
}

}  // namespace
}  // namespace onebox::tls
