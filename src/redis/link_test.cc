#include "redis/link.h"

#include <atomic>
#include <cerrno>
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
using std::chrono_literals::operator""min;
using testing::Eventually;
using testing::FakeServer;
using testing::kAmple;
using testing::RedisServer;

class LinkTest : public ::testing::Test {
 protected:
  static Link::Options OptionsFor(const Address& address, Duration timeout = kAmple) {
    Link::Options options;
    options.address = address;
    options.connection.name = "linked";
    options.timeout = timeout;
    options.pause = {.min = 1ms, .max = 20ms};
    return options;
  }
  static bool IsUp(const Link& link) {
    return Eventually([&] { return link.look().state == State::kUp; });
  }
  static bool IsDown(const Link& link) {
    return Eventually([&] { return link.look().state == State::kDown; });
  }

  os::SystemClock clock_;
};

TEST_F(LinkTest, AnswersManyThreadsThroughAFewConnections) {
  const RedisServer server({.loopback = true});
  for (const Address& address : {server.address(), server.loopback()}) {
    Link::Options options = OptionsFor(address);
    options.connections_max = 3;
    Link link(options, clock_);
    ASSERT_TRUE(IsUp(link));
    std::vector<std::thread> threads;
    threads.reserve(8);
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&link, i] {
        for (int j = 0; j < 100; ++j) {
          const std::string word = std::to_string(i * 1000 + j);
          CHECK(link.Call({"ECHO", word}).value().text == word);
          Commands two{"ECHO", word};
          two.Add({"NONSENSE"});
          CHECK(link.CallAll(two).value()[0].text == word);
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    const auto look = link.look();
    EXPECT_LE(look.connections, 3U);
    EXPECT_EQ(look.counters.connects, look.connections);
    EXPECT_EQ(look.counters.commands, 2400U);
    EXPECT_EQ(look.counters.errors, 800U);
    EXPECT_EQ(look.counters.failures, 0U);
  }
}

TEST_F(LinkTest, FailsAtOnceWhileNobodyIsThere) {
  RedisServer server;
  server.Kill();
  Link link(OptionsFor(server.address()), clock_);
  const Time begin = clock_.Now();
  const auto reply = link.Call({"PING"});
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().system_error, EHOSTDOWN);
  EXPECT_EQ(reply.error().retry, Retry::kYes);
  EXPECT_LT(clock_.Now() - begin, kAmple);
  ASSERT_TRUE(IsDown(link));
  EXPECT_THAT(link.Call({"PING"}).error().message, HasSubstr("down: connect to unix:"));
  server.Start();
  ASSERT_TRUE(IsUp(link));
  EXPECT_TRUE(link.Call({"PING"}).value().is_status("PONG"));
}

TEST_F(LinkTest, ComesBackWithAServerThatWasKilled) {
  RedisServer server;
  Link link(OptionsFor(server.address()), clock_);
  ASSERT_TRUE(IsUp(link));
  for (std::uint64_t losses = 1; losses <= 2; ++losses) {
    EXPECT_TRUE(link.Call({"PING"}).ok());
    server.Kill();
    EXPECT_FALSE(link.Call({"PING"}).ok());  // its connection is gone, and another cannot be had
    EXPECT_EQ(link.look().state, State::kDown);
    EXPECT_EQ(link.look().counters.losses, losses);
    server.Start();
    ASSERT_TRUE(IsUp(link));
  }
  EXPECT_TRUE(link.Call({"PING"}).ok());
}

TEST_F(LinkTest, DoesNotNoticeThatAnIdleConnectionWasKilled) {
  const RedisServer server;
  Link link(OptionsFor(server.address()), clock_);
  ASSERT_TRUE(IsUp(link));
  EXPECT_TRUE(link.Call({"PING"}).ok());
  server.Do({"CLIENT", "KILL", "ID", server.Clients("linked").at(0)});
  EXPECT_TRUE(link.Call({"PING"}).ok());
  const auto look = link.look();
  EXPECT_EQ(look.counters.connects, 2U);
  EXPECT_EQ(look.counters.failures, 0U);
  EXPECT_EQ(look.connections, 1U);
}

TEST_F(LinkTest, GivesASlowServerItsTimeoutsAndNoMore) {
  RedisServer server;
  Link::Options options = OptionsFor(server.address(), 200ms);
  options.failures_max = 2;
  options.pause = {.min = 1ms, .max = 1ms};
  Link link(options, clock_);
  ASSERT_TRUE(IsUp(link));
  server.Do({"SET", "key", "late"});
  server.Stop();
  EXPECT_TRUE(IsTimeout(link.Call({"GET", "key"}).error()));
  EXPECT_EQ(link.look().state, State::kUp);
  EXPECT_TRUE(IsTimeout(link.Call({"GET", "key"}).error()));
  EXPECT_EQ(link.look().state, State::kDown);
  EXPECT_EQ(link.Call({"GET", "key"}).error().system_error, EHOSTDOWN);
  // A server that is stopped takes connections: probes do not believe it.
  const os::Fd never = os::NewWakeup().value();
  os::WaitReadable(never, 50ms);
  EXPECT_EQ(link.look().state, State::kDown);
  EXPECT_EQ(link.look().counters.timeouts, 2U);
  server.Continue();
  EXPECT_TRUE(Eventually([&] {
    const auto reply = link.Call({"ECHO", "another"});
    EXPECT_TRUE(!reply.ok() || reply.value().text == "another");
    return reply.ok();
  }));
}

TEST_F(LinkTest, ForgivesFailuresBetweenAnswers) {
  std::atomic<bool> answers = true;
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1) || !answers) return;
    FakeServer::Write(socket, "+OK\r\n");
    FakeServer::AwaitCommands(socket, 1);
  });
  Link::Options options = OptionsFor(server.address());
  options.failures_max = 2;
  options.pause = {.min = 10min, .max = 10min};
  Link link(options, clock_);
  ASSERT_TRUE(IsUp(link));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(link.Call({"PING"}).ok());
    EXPECT_EQ(link.Call({"PING"}).error().system_error, ECONNRESET);
  }
  EXPECT_EQ(link.look().counters.losses, 0U);
  EXPECT_TRUE(link.Call({"PING"}).ok());
  answers = false;
  EXPECT_FALSE(link.Call({"PING"}).ok());
  EXPECT_EQ(link.look().state, State::kUp);
  EXPECT_FALSE(link.Call({"PING"}).ok());
  EXPECT_EQ(link.look().state, State::kDown);
}

TEST_F(LinkTest, TellsWhomItHasNoConnectionFor) {
  const RedisServer server;
  Link::Options options = OptionsFor(server.address(), 300ms);
  options.connections_max = 1;
  Link link(options, clock_);
  ASSERT_TRUE(IsUp(link));
  std::thread holder([&] { EXPECT_TRUE(IsTimeout(link.Call({"BLPOP", "nothing", "0"}).error())); });
  ASSERT_TRUE(Eventually([&] { return server.ClientsWith("cmd=blpop").size() == 1; }));
  int exhausted = 0;
  while (link.look().counters.timeouts == 0) {
    const Time begin = clock_.Now();
    const auto reply = link.Call({"PING"});
    EXPECT_LT(clock_.Now() - begin, kAmple);
    if (!reply.ok() && reply.error().system_error == EAGAIN) ++exhausted;
  }
  holder.join();
  EXPECT_LE(exhausted, 1);
  EXPECT_EQ(link.look().counters.exhausted, static_cast<std::uint64_t>(exhausted));
  // Who waited until then may have had too little time left, and lost his too.
  EXPECT_TRUE(Eventually([&] { return link.Call({"PING"}).ok(); }))
      << "the connection that is lost makes room for another";
  EXPECT_EQ(link.look().connections, 1U);
}

TEST_F(LinkTest, StaysUpWithTheConnectionsThatAFullServerHas) {
  const RedisServer server;
  Link link(OptionsFor(server.address()), clock_);
  ASSERT_TRUE(IsUp(link));
  auto other = server.Connect();
  std::thread holder([&] { EXPECT_TRUE(link.Call({"BLPOP", "list", "0"}).ok()); });
  ASSERT_TRUE(Eventually([&] { return server.ClientsWith("cmd=blpop").size() == 1; }));
  ASSERT_TRUE(other.Call({"CONFIG", "SET", "maxclients", "2"}, testing::In(kAmple)).ok());
  EXPECT_FALSE(link.Call({"PING"}).ok());
  EXPECT_EQ(link.look().state, State::kUp);
  ASSERT_TRUE(other.Call({"RPUSH", "list", "1"}, testing::In(kAmple)).ok());
  holder.join();
  EXPECT_TRUE(link.Call({"PING"}).ok());
  EXPECT_EQ(link.look().counters.losses, 0U);
}

TEST_F(LinkTest, DropsAConnectionThatIsGivenBackAfterALoss) {
  const RedisServer server;
  Link::Options options = OptionsFor(server.address());
  options.failures_max = 1;
  Link link(options, clock_);
  ASSERT_TRUE(IsUp(link));
  std::thread lasting([&] { EXPECT_TRUE(link.Call({"BLPOP", "list", "0"}).ok()); });
  ASSERT_TRUE(Eventually([&] { return server.ClientsWith("cmd=blpop").size() == 1; }));
  std::thread losing([&] { EXPECT_FALSE(link.Call({"BRPOP", "other", "0"}).ok()); });
  ASSERT_TRUE(Eventually([&] { return server.ClientsWith("cmd=brpop").size() == 1; }));
  server.Do({"CLIENT", "KILL", "ID", server.ClientsWith("cmd=brpop").at(0)});
  losing.join();
  EXPECT_EQ(link.look().counters.losses, 1U);
  ASSERT_TRUE(IsUp(link));
  server.Do({"RPUSH", "list", "1"});
  lasting.join();
  EXPECT_TRUE(Eventually([&] { return server.Clients("linked").size() == 1; }));
  EXPECT_EQ(link.look().connections, 1U);
}

TEST_F(LinkTest, AsksLessAndLessAServerThatOnlyGreets) {
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
    FakeServer::Write(socket, "garbage\r\n");
    FakeServer::AwaitEnd(socket);
  });
  Link::Options options = OptionsFor(server.address());
  options.failures_max = 1;
  options.pause = {.min = 4ms, .max = 10min};
  const Time begin = clock_.Now();
  Link link(options, clock_);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(IsUp(link));
    EXPECT_FALSE(link.Call({"PING"}).ok());
    EXPECT_THAT(link.look().last_error, HasSubstr("not an answer of Redis"));
  }
  EXPECT_GE(clock_.Now() - begin,
            (2 + 4 + 8 + 16 + 32 + 64 + 128) * 1ms);  // at least half of 4, 8 ... 256 ms
}

TEST_F(LinkTest, IsDownWithTheServersReason) {
  const RedisServer server({.words = {"--requirepass", "secret"}});
  Link link(OptionsFor(server.address()), clock_);
  ASSERT_TRUE(IsDown(link));
  EXPECT_THAT(link.look().last_error, HasSubstr("NOAUTH"));
}

TEST_F(LinkTest, MixesNothingUpWhileTheServerComesAndGoes) {
  RedisServer server;
  Link::Options options = OptionsFor(server.address(), 20ms);
  options.connections_max = 2;
  Link link(options, clock_);
  std::atomic<bool> ending = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; !ending; ++j) {
        const std::string word = std::to_string(i) + ":" + std::to_string(j);
        const auto reply = link.Call({"ECHO", word});
        if (!reply.ok()) {
          std::this_thread::yield();
          continue;
        }
        CHECK(reply.value().text == word);
        ++answered;
      }
    });
  }
  const os::Fd never = os::NewWakeup().value();
  const auto answers_again = [&] {
    const int before = answered;
    return Eventually([&] { return answered > before + 20; });
  };
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(answers_again());
    server.Stop();
    os::WaitReadable(never, 60ms);
    server.Continue();
    EXPECT_TRUE(answers_again());
    for (const std::string& id : server.Clients("linked"))
      server.Do({"CLIENT", "KILL", "ID", id});
  }
  server.Kill();
  server.Start();
  EXPECT_TRUE(answers_again());
  ending = true;
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_LE(link.look().connections, 2U);
}

}  // namespace
}  // namespace onebox::redis
