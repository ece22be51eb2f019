// Whether requests are spread as the weights and the load say, and stay where they were.
#include "upstream/balance.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "upstream/retry_budget.h"
#include "upstream/server_address.h"
#include "upstream/settings.h"

namespace onebox::upstream {
namespace {

std::vector<Candidate> Servers(std::size_t count) {
  std::vector<Candidate> servers;
  for (std::size_t i = 0; i < count; ++i) {
    servers.push_back({.server = i, .seed = SeedOf("http://10.0.0." + std::to_string(i))});
  }
  return servers;
}

TEST(Least, AsksTheOneThatIsAskedLessOfTwo) {
  auto servers = Servers(2);
  servers[0].outstanding = 3;
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(ChooseLeast(servers, random()), 1U);
}

TEST(Least, NeverAsksTheMostLoadedOfThree) {
  auto servers = Servers(3);
  servers[0].outstanding = 9;
  servers[1].outstanding = 1;
  servers[2].outstanding = 1;
  std::mt19937_64 random(2);
  for (int i = 0; i < 1000; ++i)
    EXPECT_NE(ChooseLeast(servers, random()), 0U);
}

TEST(Least, KeepsLoadInProportionToTheWeights) {
  auto servers = Servers(3);
  servers[0].weight = 4;
  servers[1].weight = 2;
  servers[2].weight = 2;
  std::mt19937_64 random(3);
  for (int i = 0; i < 4000; ++i)
    ++servers[ChooseLeast(servers, random())].outstanding;
  EXPECT_NEAR(servers[0].outstanding, 2000, 60);
  EXPECT_NEAR(servers[1].outstanding, 1000, 60);
}

TEST(Least, SpreadsEvenlyWhereNothingIsOutstanding) {
  const auto servers = Servers(4);
  std::map<std::size_t, int> asked;
  std::mt19937_64 random(4);
  for (int i = 0; i < 4000; ++i)
    ++asked[ChooseLeast(servers, random())];
  for (const auto& [server, count] : asked)
    EXPECT_NEAR(count, 1000, 150) << server;
}

TEST(Hash, MovesTheKeysOfALostServerAlone) {
  const auto before = Servers(5);
  auto after = before;
  after.erase(after.begin() + 2);
  int of_the_lost = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "client" + std::to_string(i);
    const std::size_t old_server = before[ChooseByHash(before, key)].server;
    const std::size_t new_server = after[ChooseByHash(after, key)].server;
    if (old_server == 2) {
      ++of_the_lost;
    } else {
      EXPECT_EQ(new_server, old_server);
    }
  }
  EXPECT_NEAR(of_the_lost, 1000, 150);
}

TEST(Hash, GivesKeysByWeight) {
  auto servers = Servers(2);
  servers[1].weight = 3;
  int second = 0;
  for (int i = 0; i < 4000; ++i)
    second += ChooseByHash(servers, std::to_string(i)) == 1;
  EXPECT_NEAR(second, 3000, 150);
}

TEST(Hash, DependsOnNamesAndNotOnTheirOrder) {
  const auto servers = Servers(4);
  const std::vector<Candidate> reversed(servers.rbegin(), servers.rend());
  for (int i = 0; i < 100; ++i) {
    const std::string key = std::to_string(i);
    EXPECT_EQ(servers[ChooseByHash(servers, key)].server,
              reversed[ChooseByHash(reversed, key)].server);
  }
}

TEST(RoundRobin, SpreadsTheTurnsOfAHeavyServer) {
  const std::uint32_t weights[] = {2, 1, 1};
  EXPECT_EQ(Turns(weights), (std::vector<std::uint32_t>{0, 1, 2, 0}));
  const std::uint32_t equal[] = {50, 50};
  EXPECT_EQ(Turns(equal), (std::vector<std::uint32_t>{0, 1}));
}

TEST(RetryBudget, AllowsAFifthOfTheRequestsAndAFewBesides) {
  FakeClock clock;
  RetryBudget budget;
  const auto taken = [&] {
    int count = 0;
    while (budget.Take(clock.Now()))
      ++count;
    return count;
  };
  EXPECT_EQ(taken(), 100);
  for (int i = 0; i < 2000; ++i)
    budget.CountRequest(clock.Now());
  EXPECT_EQ(taken(), 300);  // 400 in all
  clock.Advance(seconds(9));
  EXPECT_EQ(taken(), 0) << "the window is ten seconds";
  clock.Advance(seconds(1));
  EXPECT_EQ(taken(), 100) << "and they are over";
}

TEST(ServerAddress, IsReadFromItsUrl) {
  const struct {
    std::string_view text;
    std::string_view shown;  // empty: refused
    std::string_view authority;
  } rows[] = {
      {"http://10.0.0.2:8000", "http://10.0.0.2:8000", "10.0.0.2:8000"},
      {"http://app.internal", "http://app.internal", "app.internal"},
      {"http://app.internal:80/", "http://app.internal", "app.internal"},
      {"https://[::1]:8443", "https://[::1]:8443", "[::1]:8443"},
      {"https://a:443", "https://a", "a"},
      {"unix:/run/gunicorn.sock", "unix:/run/gunicorn.sock", "localhost"},
      {"unix:///run/gunicorn.sock weight=3 backup", "unix:/run/gunicorn.sock", "localhost"},
      {"10.0.0.2:8000", "", ""},
      {"ftp://a", "", ""},
      {"http://", "", ""},
      {"http://a/path", "", ""},
      {"http://a:0", "", ""},
      {"http://a:65536", "", ""},
      {"http://user@a", "", ""},
      {"unix:run.sock", "", ""},
      {"http://a weight=0", "", ""},
      {"http://a weight=101", "", ""},
      {"http://a twice", "", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto address = ServerAddress::Parse(row.text);
    ASSERT_EQ(address.ok(), !row.shown.empty());
    if (!address.ok()) continue;
    EXPECT_EQ(address.value().text(), row.shown);
    EXPECT_EQ(address.value().authority(), row.authority);
  }
  EXPECT_EQ(ServerAddress::Parse("unix:/a weight=3 backup").value().weight, 3U);
  EXPECT_TRUE(ServerAddress::Parse("unix:/a weight=3 backup").value().backup);
}

TEST(HashKey, IsReadFromItsName) {
  EXPECT_EQ(HashKey::Parse("address")->kind, HashKey::Kind::kAddress);
  EXPECT_EQ(HashKey::Parse("path")->kind, HashKey::Kind::kPath);
  EXPECT_EQ(HashKey::Parse("cookie:session")->name, "session");
  EXPECT_EQ(HashKey::Parse("header:X-User")->kind, HashKey::Kind::kHeader);
  for (const char* wrong : {"", "header:", "cookie:a b", "ip"})
    EXPECT_FALSE(HashKey::Parse(wrong)) << wrong;
}

}  // namespace
}  // namespace onebox::upstream
