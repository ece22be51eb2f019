#include "election/election.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"
#include "redis/testing.h"

namespace onebox::election {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using database::testing::Eventually;
using database::testing::MariaDbServer;
using redis::testing::RedisServer;

// Short enough to be waited for; long enough that a busy machine loses no lease.
constexpr Duration kLease = 2500ms;

class ElectionTest : public ::testing::Test {
 protected:
  Election::Options OptionsFor(std::variant<redis::Address, database::Address> server,
                               const std::string& box) {
    Election::Options options;
    options.server = std::move(server);
    options.name = "jobs";
    options.box = box;
    options.lease = kLease;
    options.interval = 20ms;
    options.timeout = 5s;
    options.note = [this, box](std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(box + ": " + std::string(line));
    };
    return options;
  }
  bool Leads(const Election& election) const { return election.leadership().Holds(clock_.Now()); }
  // Sees to it that the other never does at the same time: asked in that order it is not wrong.
  bool Becomes(const Election& leader, const Election* other = nullptr) {
    return Eventually([&] {
      const Leadership first = leader.leadership();
      if (other != nullptr && other->leadership().Holds(clock_.Now())) {
        EXPECT_FALSE(first.Holds(clock_.Now()));
      }
      return first.Holds(clock_.Now());
    });
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  // One box leads; when it resigns the other does at once, and when that is cut off, nobody does.
  void HandsOver(const std::variant<redis::Address, database::Address>& server) {
    std::optional<Election> a, b;
    a.emplace(OptionsFor(server, "a"), clock_);
    ASSERT_TRUE(Becomes(*a));
    const std::int64_t fence = a->leadership().fence;
    b.emplace(OptionsFor(server, "b"), clock_);
    ASSERT_TRUE(Eventually([&] { return b->look().holder.starts_with("a-"); }));
    EXPECT_FALSE(Leads(*b));
    EXPECT_TRUE(Leads(*a));
    EXPECT_TRUE(os::WaitReadable(a->wakeup(), Duration::zero()));
    a.reset();
    const Time resigned = clock_.Now();
    ASSERT_TRUE(Becomes(*b));
    EXPECT_LT(clock_.Now() - resigned, 10 * kLease);
    EXPECT_GT(b->leadership().fence, fence);
    EXPECT_EQ(b->look().wins_total, 1U);
    EXPECT_THAT(lines(),
                ElementsAre(AllOf(HasSubstr("a: election jobs: this box leads, with fence"),
                                  HasSubstr(std::to_string(fence))),
                            HasSubstr("b: election jobs: a-"),
                            HasSubstr("b: election jobs: this box leads")));
  }
  // A server that is stopped: nobody leads when the leases are over, and the leader knows it sooner.
  template <typename Server>
  void LeadsNoMoreWhileItIsStopped(Server& server) {
    Election::Options options = OptionsFor(server.address(), "a");
    options.timeout = 300ms;
    Election election(options, clock_);
    ASSERT_TRUE(Becomes(election));
    server.Stop();
    ASSERT_TRUE(Eventually([&] { return election.leadership().fence == 0; }));
    EXPECT_THAT(election.look().last_error, HasSubstr("did not answer in time"));
    EXPECT_THAT(lines().back(), HasSubstr("does not lead any more: "));
    server.Continue();
    EXPECT_TRUE(Becomes(election));
    EXPECT_EQ(election.look().last_error, "");
  }

  os::SystemClock clock_;

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

TEST_F(ElectionTest, HandsOverInRedis) {
  const RedisServer server;
  HandsOver(server.address());
}

TEST_F(ElectionTest, HandsOverInADatabase) {
  const MariaDbServer server;
  HandsOver(server.address());
}

TEST_F(ElectionTest, LeadsNoMoreWhileRedisIsStopped) {
  RedisServer server;
  LeadsNoMoreWhileItIsStopped(server);
}

TEST_F(ElectionTest, LeadsNoMoreWhileTheDatabaseIsStopped) {
  MariaDbServer server;
  LeadsNoMoreWhileItIsStopped(server);
}

TEST_F(ElectionTest, NoticesThatItsConnectionWasKilled) {
  const MariaDbServer server;
  Election election(OptionsFor(server.address(), "a"), clock_);
  ASSERT_TRUE(Becomes(election));
  const std::int64_t fence = election.leadership().fence;
  server.KillConnections();
  ASSERT_TRUE(Eventually([&] { return election.look().errors_total > 0; }));
  ASSERT_TRUE(Becomes(election));
  EXPECT_EQ(election.leadership().fence, fence) << "nobody was elected in between";
}

TEST_F(ElectionTest, HasOneLeaderWhenRedisComesBackEmpty) {
  RedisServer server;
  Election a(OptionsFor(server.address(), "a"), clock_);
  ASSERT_TRUE(Becomes(a));
  Election b(OptionsFor(server.address(), "b"), clock_);
  ASSERT_TRUE(Eventually([&] { return !b.look().holder.empty(); }));
  const std::int64_t fence = a.leadership().fence;
  server.Kill();
  ASSERT_TRUE(Eventually([&] { return a.leadership().fence == 0; }));
  server.Start();
  ASSERT_TRUE(Eventually([&] {
    const Leadership first = a.leadership(), second = b.leadership();
    EXPECT_FALSE(first.Holds(clock_.Now()) && second.Holds(clock_.Now()));
    return std::max(first.fence, second.fence) > fence;
  }));
}

TEST_F(ElectionTest, FollowsABoxThatHangs) {
  const RedisServer server;
  // It took the record, and was never heard of again.
  server.Do({"HSET", "onebox:election:jobs", "holder", "gone", "fence", "17", "beat", "3"});
  const Time begin = clock_.Now();
  Election election(OptionsFor(server.address(), "a"), clock_);
  ASSERT_TRUE(Becomes(election));
  EXPECT_GE(clock_.Now() - begin, kLease + kLease / 4);
  EXPECT_THAT(lines().front(), HasSubstr("gone leads"));
}

TEST_F(ElectionTest, EndsWhereNobodyIsThere) {
  redis::Address nowhere;
  nowhere.path = "/nowhere/socket";
  Election election(OptionsFor(nowhere, "a"), clock_);
  ASSERT_TRUE(Eventually([&] { return election.look().errors_total > 2; }));
  EXPECT_FALSE(Leads(election));
  EXPECT_EQ(lines().size(), 1U) << "it is said once";
}

}  // namespace
}  // namespace onebox::election
