#include "front/concurrency_limit.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A server of 32 threads before a database that runs `connections` queries at once, each `query`
// long; what is more waits for a connection. Requests are asked for at `rate` a second; what is over
// the limit is refused.
class Server {
 public:
  Server() { limit_.SetPlaces(32); }

  void Run(Duration time, double rate, Duration query, std::uint32_t connections = 4) {
    const Time end = now_ + time;
    const Duration pause = std::chrono::duration_cast<Duration>(seconds(1) / rate);
    for (; now_ < end; now_ += pause) {
      End(now_);
      if (running_.size() >= limit_.limit()) continue;
      std::sort(free_.begin(), free_.end());
      free_.resize(connections, now_);
      Time& connection = *std::min_element(free_.begin(), free_.end());
      connection = std::max(connection, now_) + Jittered(query);
      running_.push_back({now_, connection});
    }
  }
  std::uint32_t limit() const { return limit_.limit(); }

 private:
  struct Request {
    Time began, ends;
  };
  Duration Jittered(Duration length) {
    return length * std::uniform_int_distribution<int>(80, 120)(random_) / 100;
  }
  void End(Time now) {
    std::sort(running_.begin(), running_.end(), [](const Request& a, const Request& b) {
      return a.ends < b.ends;
    });
    while (!running_.empty() && running_.front().ends <= now) {
      const Request ended = running_.front();
      limit_.Add({.latency = ended.ends - ended.began,
                  .running = static_cast<std::uint32_t>(running_.size()),
                  .now = ended.ends});
      running_.erase(running_.begin());
    }
  }

  ConcurrencyLimit limit_;
  std::mt19937 random_{7};
  std::vector<Request> running_;
  std::vector<Time> free_;  // when each connection is
  Time now_{};
};

TEST(ConcurrencyLimit, LeavesASteadyServerAllItsPlaces) {
  Server server;
  server.Run(minutes(2), 200, milliseconds(10));
  EXPECT_EQ(server.limit(), 32U);
}

TEST(ConcurrencyLimit, FallsWhereTheDatabaseIsTenTimesSlowerAndStaysLowForAMinute) {
  Server server;
  server.Run(minutes(1), 200, milliseconds(10));
  server.Run(seconds(10), 200, milliseconds(100));
  EXPECT_LE(server.limit(), 6U);
  EXPECT_GE(server.limit(), 4U) << "an eighth";
  server.Run(seconds(50), 200, milliseconds(100));
  EXPECT_LE(server.limit(), 8U);
}

TEST(ConcurrencyLimit, GrowsBackWhenTheDatabaseHasRecovered) {
  Server server;
  server.Run(minutes(1), 200, milliseconds(10));
  server.Run(minutes(1), 200, milliseconds(100));
  server.Run(seconds(30), 350, milliseconds(10));
  EXPECT_GE(server.limit(), 9U) << "more than twice what the database runs; nobody asks for more";
}

TEST(ConcurrencyLimit, TakesALongSlownessForTheNormalOne) {
  Server server;
  server.Run(minutes(1), 40, milliseconds(10));
  server.Run(minutes(30), 60, milliseconds(60));
  EXPECT_GE(server.limit(), 12U);
}

TEST(ConcurrencyLimit, IsNotMovedByAServerThatHasLittleToDo) {
  Server server;
  server.Run(minutes(1), 5, milliseconds(10));
  server.Run(minutes(1), 5, milliseconds(100));
  EXPECT_EQ(server.limit(), 32U) << "one at a time runs";
}

TEST(ConcurrencyLimit, IsNotMovedByShortBursts) {
  Server server;
  server.Run(seconds(30), 100, milliseconds(10));
  for (int burst = 0; burst < 20; ++burst) {
    server.Run(milliseconds(50), 1000, milliseconds(10));
    server.Run(seconds(3), 100, milliseconds(10));
  }
  EXPECT_GE(server.limit(), 12U) << "three times what the database runs";
}

TEST(ConcurrencyLimit, TakesNoDifferenceBelowFiveMillisecondsForOverload) {
  ConcurrencyLimit limit;
  limit.SetPlaces(8);
  Time now{};
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::microseconds(200);
    const auto latency = std::chrono::microseconds(i < 50'000 ? 100 : 4'000);
    limit.Add({.latency = latency, .running = 8, .now = now});
  }
  EXPECT_EQ(limit.limit(), 8U);
}

TEST(ConcurrencyLimit, FollowsThePlacesWhereItStandsAtTheMost) {
  ConcurrencyLimit limit;
  limit.SetPlaces(4);
  limit.SetPlaces(8);
  EXPECT_EQ(limit.limit(), 8U);
  limit.SetPlaces(0);
  EXPECT_EQ(limit.limit(), 0U);
  limit.SetPlaces(8);
  EXPECT_EQ(limit.limit(), 8U) << "a worker that was replaced";
}

}  // namespace
}  // namespace onebox::front
