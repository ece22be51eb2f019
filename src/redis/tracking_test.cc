#include "redis/tracking.h"

#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "redis/testing.h"

namespace onebox::redis {
namespace {

using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::Eventually;
using testing::FakeServer;
using testing::In;
using testing::kAmple;
using testing::RedisServer;

// A first level that keeps the rule, as simple as it can be.
class FirstLevel {
 public:
  explicit FirstLevel(const Trust& trust) : trust_(trust) {}

  struct Ticket {
    std::uint64_t generation = 0;
    std::uint64_t mark = 0;
  };
  // Before Redis is asked.
  Ticket Before(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return {trust_.Generation(), marks_[key]};
  }
  void Keep(const std::string& key, const std::string& value, const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    entries_[key] = {value, ticket};
  }
  std::optional<std::string> Get(const std::string& key, Time now) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    const Ticket& ticket = found->second.ticket;
    if (ticket.mark != marks_[key] || !trust_.Holds(ticket.generation, now)) return std::nullopt;
    return found->second.value;
  }
  void Forget(std::string_view key) {
    const std::lock_guard lock(mutex_);
    ++marks_[std::string(key)];
    forgotten_.emplace_back(key);
  }
  std::vector<std::string> Forgotten() {
    const std::lock_guard lock(mutex_);
    return forgotten_;
  }

 private:
  struct Entry {
    std::string value;
    Ticket ticket;
  };
  const Trust& trust_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::uint64_t> marks_;
  std::vector<std::string> forgotten_;
};

// Of time, a busy machine may take more than we ask for; so pings are answered late and trust is long,
// where a test does not want them otherwise.
class TrackingTest : public ::testing::Test {
 protected:
  Tracking::Options OptionsFor(const Address& address) {
    Tracking::Options options;
    options.address = address;
    options.prefix = "p:";
    options.ping_interval = 5ms;
    options.timeout = kAmple;
    options.trust_for = 2 * kAmple;
    options.pause = {.min = 1ms, .max = 20ms};
    options.forget = [this](std::string_view key) { first_level_.Forget(key); };
    options.forget_all = [this] { ++forgot_all_; };
    return options;
  }
  static bool IsUp(const Tracking& tracking, std::uint64_t times = 1) {
    return Eventually([&] {
      const auto look = tracking.look();
      return look.state == State::kUp && look.counters.established >= times;
    });
  }
  // Until all that has been changed before is known.
  static bool Settled(const Tracking& tracking) {
    const std::uint64_t answers = tracking.look().counters.answers;
    return Eventually([&] { return tracking.look().counters.answers >= answers + 2; });
  }
  std::string Fetch(Connection& connection, const std::string& key) {
    if (auto kept = first_level_.Get(key, clock_.Now())) return *kept;
    const auto ticket = first_level_.Before(key);
    std::string value = connection.Call({"GET", key}, In(kAmple)).value().text;
    first_level_.Keep(key, value, ticket);
    return value;
  }
  bool Keeps(const std::string& key) { return first_level_.Get(key, clock_.Now()).has_value(); }

  os::SystemClock clock_;
  Trust trust_;
  FirstLevel first_level_{trust_};
  std::atomic<int> forgot_all_ = 0;
};

TEST_F(TrackingTest, TellsWhatOthersChangeBelowItsPrefix) {
  const RedisServer server;
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  server.Do({"SET", "q:other", "1"});
  server.Do({"SET", "p:one", "1"});
  server.Do({"MSET", "p:two", "2", "p:three", "3"});
  server.Do({"DEL", "p:two"});
  server.Do({"SET", "p:short", "1", "PX", "1"});
  EXPECT_TRUE(Eventually([&] { return first_level_.Forgotten().size() == 6; }));  // it expires
  const auto forgotten = first_level_.Forgotten();
  ASSERT_EQ(forgotten.size(), 6U);
  EXPECT_EQ(forgotten[0], "p:one");
  EXPECT_THAT((std::vector{forgotten[1], forgotten[2]}),
              ::testing::UnorderedElementsAre("p:two", "p:three"));
  EXPECT_EQ(forgotten[3], "p:two");
  EXPECT_EQ(forgotten[4], "p:short");
  EXPECT_EQ(forgotten[5], "p:short");
  EXPECT_EQ(tracking.look().counters.invalidations, 6U);
}

TEST_F(TrackingTest, LetsTheFirstLevelKeepWhatNobodyChanges) {
  const RedisServer server;
  auto connection = server.Connect();
  server.Do({"SET", "p:key", "1"});
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  EXPECT_EQ(Fetch(connection, "p:key"), "1");
  EXPECT_TRUE(Keeps("p:key"));
  ASSERT_TRUE(Settled(tracking));
  EXPECT_TRUE(Keeps("p:key"));
  server.Do({"SET", "p:key", "2"});
  EXPECT_TRUE(Eventually([&] { return !Keeps("p:key"); }));
  EXPECT_EQ(Fetch(connection, "p:key"), "2");
  EXPECT_TRUE(Keeps("p:key"));
}

TEST_F(TrackingTest, KeepsNothingThatWasReadBeforeItWasEstablished) {
  const RedisServer server;
  auto connection = server.Connect();
  server.Do({"SET", "p:key", "old"});
  const auto ticket = first_level_.Before("p:key");
  const std::string value = connection.Call({"GET", "p:key"}, In(kAmple)).value().text;
  first_level_.Keep("p:key", value, ticket);
  EXPECT_FALSE(Keeps("p:key")) << "nobody tracks";
  server.Do({"SET", "p:key", "new"});  // which nobody is told of
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  EXPECT_FALSE(Keeps("p:key"));
  first_level_.Keep("p:key", value, ticket);  // it took its time
  EXPECT_FALSE(Keeps("p:key"));
}

TEST_F(TrackingTest, ForgetsAValueThatWasOnItsWay) {
  const RedisServer server;
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  server.Do({"SET", "p:key", "old"});
  ASSERT_TRUE(Settled(tracking));
  const auto ticket = first_level_.Before("p:key");
  const std::string value = server.Do({"GET", "p:key"}).text;
  server.Do({"SET", "p:key", "new"});
  ASSERT_TRUE(Settled(tracking));
  first_level_.Keep("p:key", value, ticket);
  EXPECT_FALSE(Keeps("p:key"));
}

TEST_F(TrackingTest, ForgetsAllWithAFlush) {
  const RedisServer server;
  auto connection = server.Connect();
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  EXPECT_EQ(forgot_all_, 1);
  int expected = 1;
  for (const char* const flush : {"FLUSHALL", "FLUSHDB"}) {
    server.Do({"SET", "p:key", "1"});
    ASSERT_TRUE(Settled(tracking));
    Fetch(connection, "p:key");
    EXPECT_TRUE(Keeps("p:key"));
    server.Do({flush});
    EXPECT_TRUE(Eventually([&] { return !Keeps("p:key"); }));
    ++expected;
    EXPECT_TRUE(Eventually([&] { return forgot_all_ == expected; }));
  }
  ASSERT_TRUE(Settled(tracking));
  EXPECT_EQ(tracking.look().counters.flushes, 2U);
  EXPECT_EQ(tracking.look().counters.losses, 0U);
}

TEST_F(TrackingTest, BeginsAnewWhereItsConnectionIsKilled) {
  const RedisServer server({.loopback = true});
  auto connection = server.Connect();
  server.Do({"SET", "p:key", "old"});
  Tracking::Options options = OptionsFor(server.loopback());
  const Tracking tracking(options, trust_, clock_);
  for (std::uint64_t times = 1; times <= 3; ++times) {
    ASSERT_TRUE(IsUp(tracking, times));
    Fetch(connection, "p:key");
    EXPECT_TRUE(Keeps("p:key"));
    server.Do({"CLIENT", "KILL", "ID", server.Clients("onebox-tracking").at(0)});
    server.Do({"SET", "p:key", "new"});  // in the gap, or not
    ASSERT_TRUE(IsUp(tracking, times + 1));
    ASSERT_TRUE(Settled(tracking));
    EXPECT_FALSE(Keeps("p:key"));
  }
  EXPECT_EQ(tracking.look().counters.losses, 3U);
}

TEST_F(TrackingTest, BeginsAnewWithAServerThatWasKilled) {
  RedisServer server;
  auto connection = std::make_unique<Connection>(server.Connect());
  server.Do({"SET", "p:key", "old"});
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  Fetch(*connection, "p:key");
  server.Kill();
  EXPECT_TRUE(Eventually([&] { return tracking.look().state == State::kDown; }));
  EXPECT_FALSE(Keeps("p:key"));
  EXPECT_THAT(tracking.look().last_error, HasSubstr("socket"));
  server.Start();
  ASSERT_TRUE(IsUp(tracking, 2));
  EXPECT_FALSE(Keeps("p:key"));
  connection = std::make_unique<Connection>(server.Connect());
  EXPECT_EQ(Fetch(*connection, "p:key"), "");
  EXPECT_TRUE(Keeps("p:key"));
}

TEST_F(TrackingTest, NoticesWithinItsBoundThatNobodyAnswers) {
  RedisServer server;
  server.Do({"SET", "p:key", "old"});
  auto connection = server.Connect();
  Tracking::Options options = OptionsFor(server.address());
  options.timeout = 200ms;
  const Tracking tracking(options, trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  ASSERT_TRUE(Settled(tracking));
  std::uint64_t established = 0;
  ASSERT_TRUE(Eventually([&] {  // a busy machine may lose it between two lines
    established = tracking.look().counters.established;
    const auto before = first_level_.Before("p:key");
    first_level_.Keep("p:key", "old", before);
    return Keeps("p:key");
  }));
  server.Stop();
  const Time stopped = clock_.Now();
  EXPECT_FALSE(first_level_.Get("p:key", stopped + options.trust_for)) << "whatever happens";
  EXPECT_TRUE(Eventually([&] { return tracking.look().state == State::kDown; }));
  EXPECT_FALSE(Keeps("p:key")) << "told at once, not when the trust ends";
  server.Continue();
  ASSERT_TRUE(IsUp(tracking, established + 1));
  EXPECT_FALSE(Keeps("p:key"));
}

TEST_F(TrackingTest, WaitsForAServerThatIsOnlySlow) {
  RedisServer server;
  auto connection = server.Connect();
  server.Do({"SET", "p:key", "1"});
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  Fetch(connection, "p:key");
  server.Stop();
  const os::Fd never = os::NewWakeup().value();
  os::WaitReadable(never, 50ms);
  EXPECT_TRUE(Keeps("p:key"));
  server.Continue();
  ASSERT_TRUE(Settled(tracking));
  EXPECT_EQ(tracking.look().counters.losses, 0U);
  EXPECT_TRUE(Keeps("p:key"));
}

TEST_F(TrackingTest, LeavesNothingToTrustBehind) {
  const RedisServer server;
  {
    const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
    ASSERT_TRUE(IsUp(tracking));
    EXPECT_TRUE(trust_.Holds(trust_.Generation(), clock_.Now()));
  }
  EXPECT_FALSE(trust_.Holds(trust_.Generation(), clock_.Now()));
  EXPECT_EQ(server.Clients("onebox-tracking").size(), 0U);
}

// One box while a front takes the place of another: two track, and either may end.
TEST_F(TrackingTest, MayBeDoneByTwo) {
  const RedisServer server;
  auto connection = server.Connect();
  const Tracking lasting(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(lasting));
  for (const std::string value : {"1", "2", "3"}) {
    server.Do({"SET", "p:key", value});
    ASSERT_TRUE(Settled(lasting));
    {
      const Tracking other(OptionsFor(server.address()), trust_, clock_);
      ASSERT_TRUE(IsUp(other));
      EXPECT_EQ(Fetch(connection, "p:key"), value);
    }
    EXPECT_TRUE(Eventually([&] { return Keeps("p:key"); })) << "the other one has seen it all";
  }
  server.Do({"SET", "p:key", "last"});
  ASSERT_TRUE(Settled(lasting));
  EXPECT_FALSE(Keeps("p:key"));
}

TEST_F(TrackingTest, NeverEndsWithAnOldValue) {
  const RedisServer server;
  const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
  ASSERT_TRUE(IsUp(tracking));
  constexpr int kKeys = 3;
  std::atomic<int> writing = 2;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      auto connection = server.Connect();
      for (int i = 0; i < 3000; ++i) {
        const std::string key = "p:" + std::to_string((i + writer) % kKeys);
        const std::string value = std::to_string(i * 2 + writer);
        CHECK(connection.Call({"SET", key, value}, In(kAmple)).ok());
      }
      --writing;
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      auto connection = server.Connect();
      for (int i = 0; writing > 0; ++i)
        Fetch(connection, "p:" + std::to_string(i % kKeys));
    });
  }
  threads.emplace_back([&] {  // now and then all is lost
    while (writing > 0) {
      Settled(tracking);
      const auto ids = server.Clients("onebox-tracking");
      if (!ids.empty()) server.Do({"CLIENT", "KILL", "ID", ids.front()});
    }
  });
  for (std::thread& thread : threads)
    thread.join();
  ASSERT_TRUE(Settled(tracking));
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "p:" + std::to_string(i);
    const auto kept = first_level_.Get(key, clock_.Now());
    EXPECT_TRUE(!kept || *kept == server.Do({"GET", key}).text);
  }
}

TEST_F(TrackingTest, StaysDownWhereTheServerSaysWhatItDoesNotKnow) {
  struct Case {
    const char* on;
    const char* then;
    const char* why;
  };
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n";
  const std::string message = subscribed + "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
  const std::string not_keys = message + "*1\r\n:1\r\n";
  const std::string not_array = message + "$1\r\nx\r\n";
  const std::string pong = subscribed + "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
  const Case cases[] = {
      {"-ERR unknown command\r\n", "", "ERR unknown command"},
      {"+NO\r\n", "", "does not know"},
      {"+OK\r\n", "-NOPERM\r\n", "NOPERM"},
      {"+OK\r\n", "*1\r\n$3\r\nfoo\r\n", "does not know"},
      {"+OK\r\n", not_keys.c_str(), "does not know"},
      {"+OK\r\n", not_array.c_str(), "does not know"},
      {"+OK\r\n", pong.c_str(), "does not know"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.then);
    const FakeServer server([&](const os::Fd& socket) {
      if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, ":7\r\n");
      if (!FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, c.on);
      if (!FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, c.then);
      FakeServer::AwaitEnd(socket);
    });
    const Tracking tracking(OptionsFor(server.address()), trust_, clock_);
    EXPECT_TRUE(Eventually([&] {
      return tracking.look().last_error.find(c.why) != std::string::npos;
    })) << tracking.look().last_error;
  }
}

TEST_F(TrackingTest, IsLostToAServerThatTalksAndDoesNotAnswer) {
  const std::string message =
      "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$3\r\np:x\r\n";
  std::string much;
  for (int i = 0; i < 1000; ++i)
    much += message;
  for (const std::string& endless : {much, std::string("*1\r\n+x")}) {
    const FakeServer server([&](const os::Fd& socket) {
      if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, ":7\r\n");
      if (!FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, "+OK\r\n");
      if (!FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
      std::string_view next = endless;
      while (FakeServer::Write(socket, next))
        if (next.size() < 100) next = "x";
    });
    Tracking::Options options = OptionsFor(server.address());
    const os::Fd never = os::NewWakeup().value();
    options.forget = [&](std::string_view /*unused*/) { os::WaitReadable(never, 1ms); };
    options.timeout = 50ms;
    options.trust_for = 100ms;
    const Tracking tracking(options, trust_, clock_);
    EXPECT_TRUE(Eventually([&] { return tracking.look().counters.losses >= 2; }));
    EXPECT_THAT(tracking.look().last_error, HasSubstr("did not answer a ping"));
  }
}

TEST(Backoff, DoublesUpToItsLimitAndIsDrawn) {
  Backoff backoff({.min = 100ms, .max = 1s});
  for (const Duration whole : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    Backoff copy = backoff;
    EXPECT_EQ(copy.Next(0), whole / 2);
    EXPECT_EQ(backoff.Next(static_cast<std::uint64_t>((whole / 2).count())), whole);
  }
  backoff.Reset();
  EXPECT_EQ(backoff.Next(0), 50ms);
}

}  // namespace
}  // namespace onebox::redis
