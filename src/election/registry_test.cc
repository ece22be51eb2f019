#include "election/registry.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"
#include "election/database_registry.h"
#include "election/redis_registry.h"
#include "redis/testing.h"

namespace onebox::election {
namespace {

using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;
using database::testing::MariaDbServer;
using redis::testing::RedisServer;

constexpr Duration kAmple = std::chrono::seconds(20);

// What each kind of registry has to keep to.
void KeepsToItsWord(const std::function<std::unique_ptr<Registry>(std::string box)>& make,
                    const std::function<void()>& lose) {
  const auto a = make("a"), b = make("b");
  EXPECT_EQ(a->Read().value(), std::nullopt);
  const Record made_up{.holder = "x", .fence = 1, .beat = 1};
  EXPECT_EQ(a->Take(made_up).value(), std::nullopt);
  const std::int64_t fence = a->Take(std::nullopt).value().value();
  EXPECT_GT(fence, 1'700'000'000'000) << "the time, in milliseconds";
  EXPECT_EQ(b->Take(std::nullopt).value(), std::nullopt) << "there is one";
  const Record first = b->Read().value().value();
  EXPECT_EQ(first, (Record{.holder = "a", .fence = fence, .beat = 0}));

  EXPECT_TRUE(a->Renew(fence).value());
  EXPECT_FALSE(a->Renew(fence - 1).value());
  EXPECT_FALSE(b->Renew(fence).value());
  EXPECT_EQ(b->Take(first).value(), std::nullopt) << "it has been renewed";
  const Record renewed = b->Read().value().value();
  EXPECT_EQ(renewed, (Record{.holder = "a", .fence = fence, .beat = 1}));

  const std::int64_t next = b->Take(renewed).value().value();
  EXPECT_GT(next, fence);
  EXPECT_FALSE(a->Renew(fence).value());
  EXPECT_TRUE(a->Resign(fence).ok()) << "which changes nothing";
  EXPECT_EQ(a->Read().value()->holder, "b");
  EXPECT_TRUE(b->Resign(next).ok());
  const Record resigned = a->Read().value().value();
  EXPECT_EQ(resigned, (Record{.holder = "", .fence = next, .beat = 0}));
  EXPECT_FALSE(b->Renew(next).value());
  EXPECT_GT(a->Take(resigned).value().value(), next);

  const std::int64_t last = a->Read().value()->fence;
  const os::SystemClock clock;
  EXPECT_TRUE(
      database::testing::Eventually([&] { return clock.WallNow() > WallTime((last + 1) * 1ms); }));
  lose();
  EXPECT_FALSE(a->Renew(last).value());
  EXPECT_EQ(a->Read().value(), std::nullopt);
  EXPECT_GT(b->Take(std::nullopt).value().value(), last);
}

TEST(RedisRegistry, KeepsToItsWord) {
  const RedisServer server;
  const os::SystemClock clock;
  KeepsToItsWord(
      [&](std::string box) {
        return std::make_unique<RedisRegistry>(
            RedisRegistry::Options{
                server.address(), "onebox:election:jobs", std::move(box), kAmple},
            clock);
      },
      [&] { server.Do({"FLUSHALL"}); });
}

TEST(DatabaseRegistry, KeepsToItsWord) {
  const MariaDbServer server;
  const os::SystemClock clock;
  KeepsToItsWord(
      [&](std::string box) {
        return std::make_unique<DatabaseRegistry>(
            DatabaseRegistry::Options{server.address(), "jobs", std::move(box), {kAmple}}, clock);
      },
      [&] { server.Do({"TRUNCATE TABLE onebox_election"}); });
}

// A record that is not ours, by whoever writes under our key.
TEST(RedisRegistry, SaysWhatItFindsInItsPlace) {
  const RedisServer server;
  const os::SystemClock clock;
  RedisRegistry registry({server.address(), "key", "a", kAmple}, clock);
  server.Do({"SET", "key", "text"});
  EXPECT_THAT(registry.Read().error().message, HasSubstr("WRONGTYPE"));
  server.Do({"DEL", "key"});
  server.Do({"HSET", "key", "holder", "x", "fence", "many"});
  EXPECT_FALSE(registry.Read().ok());
  EXPECT_FALSE(registry.Renew(1).value());
}

TEST(DatabaseRegistry, OpensAgainAfterItsConnectionWasLost) {
  const MariaDbServer server;
  const os::SystemClock clock;
  DatabaseRegistry registry({server.address(), "jobs", "a", {kAmple}}, clock);
  const std::int64_t fence = registry.Take(std::nullopt).value().value();
  server.KillConnections();
  EXPECT_FALSE(registry.Renew(fence).ok());
  EXPECT_TRUE(registry.Renew(fence).value());
}

TEST(ElectionTable, IsWhatTheManualShows) {
  std::ifstream file("docs/use/election.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(page, HasSubstr(std::string(kCreateElection) + ";\n"));
}

}  // namespace
}  // namespace onebox::election
