// What a box does with an authority that is well, and with one that is not.
#include "acme/keeper.h"

#include <chrono>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acme/jws.h"
#include "acme/renewal.h"
#include "acme/testing.h"
#include "os/file.h"
#include "os/testing.h"
#include "tls/certificate.h"

namespace onebox::acme {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() {
    settings_.folder = folder_.path() + "/acme";
    settings_.names = {"game.example"};
    settings_.directory = "https://ca.test/directory";
    settings_.challenges = {Challenge::kHttp01};
    log_ = telemetry::Log::Open(clock_, {.role = "acme", .path = LogPath()}).value();
    authority_.validate = [this](const std::string& name, const std::string& type) {
      return IsPublished(name, type);
    };
  }

  // As if the process had been started.
  void Start() {
    keeper_ = std::make_unique<Keeper>(
        settings_,
        Keeper::Outside{
            .transport = authority_,
            .clock = clock_,
            .log = *log_,
            .random = [] { return std::uint64_t{0}; },
            .changed = [this](const NameStatus& one) { told_[one.name] = AsJson(one); }});
    ASSERT_TRUE(keeper_->Open().ok());
  }
  // Start, and all that is due at once.
  void StartAndTurn() {
    Start();
    keeper_->Turn();
  }
  const NameStatus& First() const { return keeper_->names().front(); }
  bool Trusted() const { return First().facts && !First().facts->placeholder; }
  std::string Path(const std::string& rest) const { return settings_.folder + "/" + rest; }
  std::string LogPath() const { return folder_.path() + "/log"; }
  std::string Log() const { return os::ReadFile(LogPath(), 1 << 20).value(); }
  std::string Served() const {
    return os::ReadFile(Path("certificates/game.example/fullchain.pem"), 1 << 20).value();
  }
  Facts ServedFacts() const {
    const std::string key = os::ReadFile(Path("certificates/game.example/key.pem"), 10000).value();
    return CheckChain(Served(), "game.example", Key::FromPem(key).value()).value();
  }
  bool IsEmptyFolder(const std::string& rest) const {
    return std::filesystem::is_empty(Path(rest));
  }

  // As the authority would see it through our front.
  bool IsPublished(const std::string& name, const std::string& type) const {
    if (type == "tls-alpn-01") {
      const auto pem = os::ReadFile(Path("alpn/" + name + ".pem"), 1 << 16);
      return pem.ok() && tls::Certificate::Parse(pem.value(), pem.value()).ok();
    }
    const Key account = Key::FromPem(os::ReadFile(Path("account.pem"), 10000).value()).value();
    for (const auto& entry : std::filesystem::directory_iterator(Path("http"))) {
      const std::string token = entry.path().filename().string();
      const std::string answer = os::ReadFile(entry.path().string(), 1000).value();
      if (answer == token + "." + Thumbprint(account)) return true;
    }
    return false;
  }

  os::TemporaryFolder folder_{"keeper"};
  FakeClock clock_;
  FakeAuthority authority_{clock_};
  Settings settings_;
  std::unique_ptr<telemetry::Log> log_;
  std::map<std::string, json> told_;
  std::unique_ptr<Keeper> keeper_;
};

TEST_F(KeeperTest, ServesAPlaceholderBeforeAnythingIsAsked) {
  Start();
  EXPECT_THAT(authority_.asked, IsEmpty());
  EXPECT_TRUE(ServedFacts().placeholder);
  EXPECT_EQ(told_["game.example"]["certificate"]["placeholder"], true);
}

TEST_F(KeeperTest, ObtainsACertificateFromNothing) {
  for (const Challenge challenge : {Challenge::kHttp01, Challenge::kTlsAlpn01}) {
    for (const KeyKind kind : {KeyKind::kEcdsa, KeyKind::kRsa}) {
      SCOPED_TRACE(NameOf(challenge));
      settings_.challenges = {challenge};
      settings_.key = kind;
      StartAndTurn();
      EXPECT_TRUE(Trusted());
      EXPECT_EQ(First().state.failures, 0U);
      EXPECT_TRUE(IsEmptyFolder("http"));
      EXPECT_TRUE(IsEmptyFolder("alpn"));
      EXPECT_TRUE(IsEmptyFolder("orders"));
    }
  }
  EXPECT_THAT(Log(), HasSubstr("which agrees to https://ca.test/terms"));
  EXPECT_EQ(authority_.accounts.size(), 1U);
}

TEST_F(KeeperTest, AsksForNothingWhenStartedAgain) {
  StartAndTurn();
  const std::string served = Served();
  authority_.asked.clear();
  StartAndTurn();
  EXPECT_THAT(authority_.asked, IsEmpty());
  EXPECT_EQ(Served(), served);
}

TEST_F(KeeperTest, RenewsAtTwoThirdsOfTheLifetime) {
  StartAndTurn();
  const std::string first = Served();
  EXPECT_EQ(keeper_->Turn(), kLookAgain);
  clock_.Advance(hours(24 * 59));
  keeper_->Turn();
  EXPECT_EQ(Served(), first);
  clock_.Advance(hours(24 + 1));
  keeper_->Turn();
  EXPECT_NE(Served(), first);
  EXPECT_EQ(authority_.issued, 2);
  EXPECT_EQ(keeper_->Turn(), kLookAgain) << "the next is due in 60 days";
}

TEST_F(KeeperTest, GivesEachNameACertificateOfItsOwn) {
  settings_.names = {"game.example", "www.game.example", "gone.example"};
  authority_.validate = [](const std::string& name, const std::string&) {
    return name != "gone.example";
  };
  StartAndTurn();
  EXPECT_EQ(authority_.issued, 2);
  EXPECT_EQ(told_["gone.example"]["failures"], 1);
  EXPECT_EQ(told_["www.game.example"]["failures"], 0);
  EXPECT_EQ(told_["www.game.example"]["certificate"]["placeholder"], false);
}

// --- failures

TEST_F(KeeperTest, BacksOffFurtherWithEachFailureAndServesOn) {
  StartAndTurn();
  const std::string first = Served();
  clock_.Advance(hours(24 * 61));
  authority_.validate = [](const std::string&, const std::string&) { return false; };
  keeper_->Turn();
  EXPECT_EQ(First().state.failures, 1U);
  EXPECT_EQ(First().state.error_kind, "connection") << "what the authority says of us";
  EXPECT_THAT(First().state.error, HasSubstr("nobody is there"));
  EXPECT_EQ(First().due, First().state.attempted_at + minutes(1));
  EXPECT_TRUE(IsEmptyFolder("http"));
  for (int failures = 2; failures <= 5; ++failures) {
    clock_.Advance(keeper_->Turn());
    while (First().state.failures < static_cast<unsigned>(failures)) {
      clock_.Advance(keeper_->Turn());
    }
    EXPECT_EQ(First().due, First().state.attempted_at + minutes(1 << (failures - 1)));
  }
  EXPECT_EQ(Served(), first);
  EXPECT_THAT(Log(), HasSubstr("serves on"));
  authority_.validate = [](const std::string&, const std::string&) { return true; };
  clock_.Advance(hours(1));
  keeper_->Turn();
  EXPECT_EQ(First().state.failures, 0U);
  EXPECT_NE(Served(), first);
}

TEST_F(KeeperTest, KeepsItsDistanceAfterARestartToo) {
  authority_.validate = [](const std::string&, const std::string&) { return false; };
  StartAndTurn();
  authority_.asked.clear();
  StartAndTurn();
  EXPECT_THAT(authority_.asked, IsEmpty());
  EXPECT_EQ(First().state.failures, 1U);
  clock_.Advance(minutes(1));
  keeper_->Turn();
  EXPECT_EQ(First().state.failures, 2U);
}

TEST_F(KeeperTest, DoesAsTheAuthoritySaysWhenThereWasTooMuch) {
  authority_.disturb = [](const HttpRequest& request, HttpAnswer answer) -> Result<HttpAnswer> {
    if (!request.url.ends_with("/order")) return answer;
    HttpAnswer refusal = FakeAuthority::Refusal(429, "rateLimited", "7200");
    refusal.nonce = answer.nonce;
    return refusal;
  };
  StartAndTurn();
  EXPECT_EQ(First().state.error_kind, "rateLimited");
  EXPECT_EQ(First().due, clock_.WallNow() + hours(2));
}

TEST_F(KeeperTest, AsksAgainWhenANonceIsRefused) {
  authority_.nonces_to_refuse = 4;
  StartAndTurn();
  EXPECT_TRUE(Trusted());
  authority_.nonces_to_refuse = 1000;
  ASSERT_TRUE(keeper_->Renew("game.example"));
  authority_.asked.clear();
  keeper_->Turn();
  EXPECT_EQ(First().state.error_kind, "badNonce");
  EXPECT_LT(authority_.asked.size(), 20U) << "and not for ever";
}

TEST_F(KeeperTest, TriesTheOtherWayAfterAFailure) {
  settings_.challenges = {Challenge::kHttp01, Challenge::kTlsAlpn01};
  std::vector<std::string> types;
  authority_.validate = [&](const std::string&, const std::string& type) {
    types.push_back(type);
    return type == "tls-alpn-01";
  };
  StartAndTurn();
  EXPECT_FALSE(Trusted());
  clock_.Advance(minutes(1));
  keeper_->Turn();
  EXPECT_TRUE(Trusted());
  EXPECT_THAT(types, ElementsAre("http-01", "tls-alpn-01"));
}

TEST_F(KeeperTest, SaysWhatTheAuthorityDoesNotOffer) {
  authority_.offered = {"dns-01"};
  StartAndTurn();
  EXPECT_EQ(First().state.error_kind, "challenge");
  EXPECT_THAT(First().state.error, HasSubstr("offers no http-01"));
}

TEST_F(KeeperTest, GivesUpOnWhatNeverBecomesAnything) {
  authority_.polls = 1'000'000;
  const WallTime began = clock_.WallNow();
  StartAndTurn();
  EXPECT_EQ(First().state.error_kind, "timeout");
  EXPECT_LE(clock_.WallNow() - began, 2 * kAuthorityTimeout);
  EXPECT_LT(authority_.asked.size(), 100U);
}

TEST_F(KeeperTest, UsesNoCertificateThatCannotServe) {
  StartAndTurn();
  const std::string first = Served();
  authority_.disturb = [&](const HttpRequest& request, HttpAnswer answer) -> Result<HttpAnswer> {
    if (request.url.find("/certificate/") != std::string::npos) answer.body = first;
    return answer;
  };
  ASSERT_TRUE(keeper_->Renew("game.example"));
  keeper_->Turn();
  EXPECT_EQ(First().state.error_kind, "badCertificate");
  EXPECT_THAT(First().state.error, HasSubstr("not the one of the certificate"));
  EXPECT_EQ(Served(), first);
}

TEST_F(KeeperTest, OutlivesAnAuthorityThatAnswersNothingOrNonsense) {
  struct Case {
    const char* kind;
    std::function<Result<HttpAnswer>(const HttpRequest&, HttpAnswer)> disturb;
  };
  const Case cases[] = {
      {"noAnswer",
       [](const HttpRequest&, const HttpAnswer&) {
         return Result<HttpAnswer>(FakeAuthority::Gone("no"));
       }},
      {"protocol", [](const HttpRequest&, HttpAnswer) { return Result<HttpAnswer>(HttpAnswer{}); }},
      {"protocol",
       [](const HttpRequest&, HttpAnswer answer) {
         answer.body = "[1,2";
         return Result<HttpAnswer>(answer);
       }},
      {"protocol",
       [](const HttpRequest&, HttpAnswer answer) {
         answer.nonce = "a b\r\n";
         return Result<HttpAnswer>(answer);
       }},
      {"protocol",
       [](const HttpRequest& request, HttpAnswer answer) {
         if (request.url.ends_with("/account")) answer.location = "http://elsewhere\r\n";
         return Result<HttpAnswer>(answer);
       }},
      {"other",
       [](const HttpRequest& request, HttpAnswer answer) {
         if (request.url.ends_with("/order")) {
           answer = {500, R"({"type":"about:blank\u0007","detail":7})", answer.nonce, {}, {}};
         }
         return Result<HttpAnswer>(answer);
       }},
      {"challenge",
       [](const HttpRequest& request, HttpAnswer answer) {
         if (request.url.find("/authz/") != std::string::npos) {
           answer.body =
               R"({"status":"pending","challenges":[{"type":"http-01","token":"../../x","url":"https://ca.test/challenge/1/http-01"}]})";
         }
         return Result<HttpAnswer>(answer);
       }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.kind);
    authority_.disturb = one.disturb;
    Start();
    keeper_->Renew("game.example");
    keeper_->Turn();
    EXPECT_EQ(First().state.error_kind, one.kind) << First().state.error;
    EXPECT_TRUE(ServedFacts().placeholder);
  }
}

// --- interruptions

TEST_F(KeeperTest, LosesNothingWhereverItIsStopped) {
  int asks = 0;
  for (;; ++asks) {
    SCOPED_TRACE(asks);
    ASSERT_LT(asks, 100);
    authority_.asks_until_end = asks;
    authority_.GoOn();
    StartAndTurn();
    EXPECT_EQ(First().state.failures, 0U) << "to be stopped is no failure";
    ServedFacts();
    if (Trusted()) break;
  }
  EXPECT_GT(asks, 5);
  EXPECT_EQ(authority_.accounts.size(), 1U) << "no account was lost";
  EXPECT_EQ(authority_.issued, 1) << "no certificate was lost";
  EXPECT_LE(authority_.orders, 2) << "but for one whose URL never came";
}

TEST_F(KeeperTest, TakesUpTheOrderThatAnAuthorityWentAwayFrom) {
  authority_.disturb = [](const HttpRequest& request, HttpAnswer answer) -> Result<HttpAnswer> {
    if (request.url.find("/certificate/") == std::string::npos) return answer;
    return FakeAuthority::Gone("gone");
  };
  StartAndTurn();
  EXPECT_EQ(First().state.error_kind, "noAnswer");
  authority_.disturb = [](const HttpRequest&, HttpAnswer answer) {
    return Result<HttpAnswer>(answer);
  };
  clock_.Advance(minutes(1));
  StartAndTurn();
  EXPECT_TRUE(Trusted());
  EXPECT_EQ(authority_.issued, 1);
}

TEST_F(KeeperTest, DropsAnOrderThatWasForAnotherKindOfKey) {
  authority_.asks_until_end = 5;
  StartAndTurn();
  ASSERT_FALSE(IsEmptyFolder("orders"));
  authority_.asks_until_end = -1;
  authority_.GoOn();
  settings_.key = KeyKind::kRsa;
  const int before = authority_.orders;
  StartAndTurn();
  EXPECT_TRUE(Trusted());
  EXPECT_EQ(authority_.orders, before + 1);
}

// --- accounts

TEST_F(KeeperTest, TakesAnotherAccountWhereItsOwnWasDeactivated) {
  StartAndTurn();
  authority_.deactivated = authority_.accounts;
  ASSERT_TRUE(keeper_->Renew("game.example"));
  keeper_->Turn();
  EXPECT_EQ(First().state.failures, 0U);
  EXPECT_EQ(authority_.issued, 2);
  EXPECT_EQ(authority_.accounts.size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(Path("account.pem.refused")));
}

TEST_F(KeeperTest, IsKnownAgainByAnAuthorityThatHasForgottenIt) {
  StartAndTurn();
  authority_.accounts.clear();
  ASSERT_TRUE(keeper_->Renew("game.example"));
  keeper_->Turn();
  EXPECT_EQ(authority_.issued, 2);
}

TEST_F(KeeperTest, TellsTheAuthorityOfAnotherAddress) {
  settings_.email = "ops@game.example";
  StartAndTurn();
  EXPECT_EQ(authority_.contact, json::array({"mailto:ops@game.example"}));
  settings_.email = "other@game.example";
  Start();
  keeper_->Renew("game.example");
  keeper_->Turn();
  EXPECT_EQ(authority_.contact, json::array({"mailto:other@game.example"}));
  EXPECT_TRUE(Trusted());
}

TEST_F(KeeperTest, BindsItsAccountWhereItIsToldHow) {
  authority_.external_required = true;
  StartAndTurn();
  EXPECT_EQ(First().state.error_kind, "externalAccountRequired");
  settings_.external = {"kid-1", ToBase64Url("secret")};
  clock_.Advance(minutes(1));
  StartAndTurn();
  EXPECT_TRUE(Trusted());
  const std::string head = *FromBase64Url(authority_.binding["protected"].get<std::string>());
  EXPECT_EQ(head, R"({"alg":"HS256","kid":"kid-1","url":"https://ca.test/account"})");
}

// --- wishes

TEST_F(KeeperTest, RenewsAtOnceWhenToldAndKnowsItsNames) {
  StartAndTurn();
  EXPECT_FALSE(keeper_->Renew("other.example"));
  EXPECT_TRUE(keeper_->Renew("game.example"));
  keeper_->Turn();
  EXPECT_EQ(authority_.issued, 2);
  EXPECT_EQ(told_["game.example"]["attempts"], 2);
}

TEST_F(KeeperTest, AsksForAnotherCertificateWhereTheDirectoryIsAnother) {
  StartAndTurn();
  settings_.key = KeyKind::kRsa;
  StartAndTurn();
  EXPECT_EQ(authority_.issued, 2);
}

TEST_F(KeeperTest, AsksForAnotherWhereTheOneThatIsThereHasExpired) {
  StartAndTurn();
  clock_.Advance(hours(24 * 91));
  Start();
  EXPECT_TRUE(Trusted()) << "it stays: the clock may be wrong";
  keeper_->Turn();
  EXPECT_EQ(authority_.issued, 2);
}

}  // namespace
}  // namespace onebox::acme
