// Which server is asked when some of them fail.
#include "upstream/upstream.h"

#include <gtest/gtest.h>

namespace onebox::upstream {
namespace {

Settings Of(std::vector<std::string_view> servers) {
  Settings settings;
  settings.name = "app";
  for (const std::string_view server : servers)
    settings.servers.push_back(ServerAddress::Parse(server).value());
  return settings;
}

class Asker {
 public:
  explicit Asker(Settings settings) : upstream(std::move(settings)) {}

  Server* Next(std::uint64_t tried = 0) {
    return upstream.Choose(
        {.now = clock.Now(), .random = random_ += 0x1234567890ABCDEF, .tried = tried});
  }
  Server& server(std::size_t number) { return *upstream.servers()[number]; }
  void Fail(std::size_t number, int times) {
    for (int i = 0; i < times; ++i)
      upstream.Failed(server(number), Failure::kConnect, clock.Now(), 0);
  }
  // How many of a hundred requests each server has.
  std::vector<int> Hundred() {
    std::vector<int> asked(upstream.servers().size());
    for (int i = 0; i < 100; ++i) {
      if (Server* const next = Next()) ++asked[next->number()];
    }
    return asked;
  }

  FakeClock clock;
  Upstream upstream;

 private:
  std::uint64_t random_ = 1;
};

TEST(Upstream, LeavesAServerAloneThatFailsOftenAndComesBackToIt) {
  Asker asker(Of({"http://a", "http://b"}));
  asker.Fail(0, 2);
  EXPECT_GT(asker.Hundred()[0], 0) << "two failures are not enough";
  asker.Fail(0, 1);
  EXPECT_EQ(asker.server(0).health().StateAt(asker.clock.Now()), ServerState::kPaused);
  EXPECT_EQ(asker.Hundred()[0], 0);
  asker.clock.Advance(seconds(10));
  EXPECT_GT(asker.Hundred()[0], 0) << "after the pause it is asked again";
  EXPECT_EQ(asker.server(0).seen().pauses, 1U);
  EXPECT_EQ(asker.server(0).seen().failures[static_cast<std::size_t>(Failure::kConnect)], 3U);
}

TEST(Upstream, PausesForLongerEachTimeUntilTheServerHasAnswered) {
  Asker asker(Of({"http://a", "http://b"}));
  Health& health = asker.server(0).health();
  asker.Fail(0, 3);
  const Duration first = health.paused_until() - asker.clock.Now();
  asker.clock.Advance(first);
  asker.Fail(0, 1);  // on trial: one is enough
  const Duration second = health.paused_until() - asker.clock.Now();
  EXPECT_EQ(first, seconds(5));
  EXPECT_EQ(second, seconds(10));
  asker.clock.Advance(second);
  health.Succeeded();
  asker.Fail(0, 2);
  EXPECT_TRUE(health.UsableAt(asker.clock.Now())) << "an answer has cleared it";
  asker.Fail(0, 1);
  EXPECT_EQ(health.paused_until() - asker.clock.Now(), seconds(5));
}

TEST(Upstream, ForgetsFailuresThatAreFarApart) {
  Asker asker(Of({"http://a", "http://b"}));
  for (int i = 0; i < 10; ++i) {
    asker.Fail(0, 1);
    asker.clock.Advance(seconds(11));
  }
  EXPECT_TRUE(asker.server(0).health().UsableAt(asker.clock.Now()));
}

TEST(Upstream, KeepsOneServerHoweverOftenItFails) {
  Asker asker(Of({"http://a", "http://b"}));
  asker.Fail(0, 3);
  asker.Fail(1, 50);
  EXPECT_EQ(asker.Hundred()[1], 100);
}

TEST(Upstream, HasNobodyWhenProbesSayThatAllAreDown) {
  Asker asker(Of({"http://a", "http://b"}));
  EXPECT_TRUE(asker.server(0).health().ProbeFailed());
  EXPECT_FALSE(asker.server(0).health().ProbeFailed()) << "that is no news";
  asker.server(1).health().ProbeFailed();
  EXPECT_EQ(asker.Next(), nullptr);
  EXPECT_EQ(asker.upstream.RetryAfter(asker.clock.Now()), 5U);
  EXPECT_TRUE(asker.server(1).health().ProbeSucceeded(asker.clock.Now()));
  EXPECT_EQ(asker.Hundred()[1], 100);
}

TEST(Upstream, AsksBackupServersWhileNoOtherCanBe) {
  Asker asker(Of({"http://a", "http://b backup"}));
  EXPECT_EQ(asker.Hundred()[0], 100);
  asker.Fail(0, 3);
  EXPECT_EQ(asker.Hundred()[1], 100);
  asker.clock.Advance(seconds(10));
  EXPECT_EQ(asker.Hundred()[0], 100);
}

TEST(Upstream, AsksNoServerTwiceForOneRequest) {
  for (const Balance balance : {Balance::kLeast, Balance::kRoundRobin, Balance::kHash}) {
    Settings settings = Of({"http://a", "http://b", "http://c"});
    settings.balance = balance;
    Asker asker(settings);
    std::uint64_t tried = 0;
    for (int i = 0; i < 3; ++i) {
      Server* const server = asker.Next(tried);
      ASSERT_NE(server, nullptr);
      EXPECT_EQ(tried >> server->number() & 1, 0U);
      tried |= std::uint64_t{1} << server->number();
    }
    EXPECT_EQ(asker.Next(tried), nullptr);
  }
}

TEST(Upstream, TakesTurnsByWeight) {
  Settings settings = Of({"http://a weight=3", "http://b"});
  settings.balance = Balance::kRoundRobin;
  Asker asker(settings);
  EXPECT_EQ(asker.Hundred(), (std::vector<int>{75, 25}));
  asker.Fail(1, 3);
  EXPECT_EQ(asker.Hundred(), (std::vector<int>{100, 0}));
}

TEST(Upstream, GivesAServerThatComesBackMoreAndMore) {
  for (const Balance balance : {Balance::kLeast, Balance::kRoundRobin}) {
    Settings settings = Of({"http://a", "http://b"});
    settings.balance = balance;
    settings.passive.slow_start = seconds(100);
    Asker asker(settings);
    asker.Fail(0, 3);
    asker.clock.Advance(seconds(5 + 10));
    const int early = asker.Hundred()[0];
    asker.clock.Advance(seconds(90));
    const int late = asker.Hundred()[0];
    EXPECT_GT(early, 0);
    EXPECT_LT(early, 30);
    EXPECT_GT(late, 35);
  }
}

TEST(Upstream, TriesTheAddressesOfAHostInTurn) {
  Asker asker(Of({"http://a"}));
  Server& server = asker.server(0);
  EXPECT_FALSE(server.NextAddress());
  server.SetAddresses({os::SocketAddress::Parse("127.0.0.1:1").value(),
                       os::SocketAddress::Parse("127.0.0.2:1").value()});
  EXPECT_EQ(server.NextAddress()->text(), "127.0.0.1:1");
  EXPECT_EQ(server.NextAddress()->text(), "127.0.0.1:1");
  server.TurnAddress();
  EXPECT_EQ(server.NextAddress()->text(), "127.0.0.2:1");
}

}  // namespace
}  // namespace onebox::upstream
