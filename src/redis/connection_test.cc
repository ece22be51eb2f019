#include "redis/connection.h"

#include <atomic>
#include <cerrno>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "redis/testing.h"

namespace onebox::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using std::chrono_literals::operator""ms;
using testing::FakeServer;
using testing::In;
using testing::kAmple;
using testing::RedisServer;

class ConnectionTest : public ::testing::Test {
 protected:
  Result<Connection> Open(const Address& address,
                          Duration timeout = kAmple,
                          Connection::Options options = {}) {
    const auto places = Locate(address);
    if (!places.ok()) return places.error();
    return Connection::Open(address, places.value().front(), options, clock_, In(timeout));
  }

  os::SystemClock clock_;
};

TEST_F(ConnectionTest, CarriesAnyBytesToAServerAndBack) {
  const RedisServer server({.loopback = true});
  std::string large(300'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 7);
  for (const Address& address : {server.address(), server.loopback()}) {
    auto connection = Open(address).value();
    for (const std::string& value : {std::string(), std::string("a\r\n\0b", 5), large}) {
      EXPECT_TRUE(
          connection.Call({"SET", value + "key", value}, In(kAmple)).value().is_status("OK"));
      const Reply reply = connection.Call({"GET", value + "key"}, In(kAmple)).value();
      EXPECT_TRUE(reply.is(Reply::Kind::kBulk));
      EXPECT_EQ(reply.text, value);
    }
    EXPECT_TRUE(connection.Call({"GET", "nothing"}, In(kAmple)).value().is(Reply::Kind::kNil));
    EXPECT_TRUE(connection.Quiet());
  }
}

TEST_F(ConnectionTest, GivesTheAnswersOfAPipelineInItsOrder) {
  const RedisServer server;
  auto connection = Open(server.address()).value();
  Commands commands;
  const std::string value(100'000, 'x');
  for (int i = 0; i < 100; ++i) {
    commands.Add({"SET", "key", value + std::to_string(i)});
    commands.Add({"GET", "key"});
    commands.Add({"INCR", "key"});  // an error is an answer too
  }
  const auto replies = connection.CallAll(commands, In(kAmple)).value();
  ASSERT_EQ(replies.size(), 300U);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(replies[3 * i + 1].text, value + std::to_string(i));
    EXPECT_TRUE(replies[3 * i + 2].is(Reply::Kind::kError));
  }
  EXPECT_TRUE(connection.open());
}

TEST_F(ConnectionTest, SaysWhoItIsAndTakesItsDatabase) {
  const RedisServer server(
      {.words = {"--requirepass", "secret", "--user", "app", "on", ">word", "~*", "+@all"}});
  Address address = server.address();
  EXPECT_THAT(Open(address).error().message, HasSubstr("NOAUTH"));
  address.password = "wrong";
  const auto refused = Open(address);
  EXPECT_THAT(refused.error().message, HasSubstr("WRONGPASS"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("wrong ")));
  EXPECT_EQ(refused.error().blame, Blame::kOperator);
  address.password = "secret";
  address.database = 99;
  EXPECT_THAT(Open(address).error().message, HasSubstr("DB index is out of range"));
  address.user = "app";
  address.password = "word";
  address.database = 3;
  auto connection = Open(address, kAmple, {.name = "box"}).value();
  const std::string who = connection.Call({"CLIENT", "INFO"}, In(kAmple)).value().text;
  EXPECT_THAT(who, HasSubstr(" name=box "));
  EXPECT_THAT(who, HasSubstr(" db=3 "));
  EXPECT_THAT(who, HasSubstr(" user=app "));
}

TEST_F(ConnectionTest, TellsWhyAServerHasNoRoom) {
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::AwaitCommands(socket, 2)) return;
    FakeServer::Write(socket, "-ERR max number of clients reached\r\n");
  });
  EXPECT_THAT(Open(server.address()).error().message, HasSubstr("max number of clients"));
}

// SETNAME may be forbidden to a user, and is of no importance.
TEST_F(ConnectionTest, NeedsNoName) {
  const RedisServer server({.words = {"--user", "app", "on", ">word", "~*", "+@all", "-client"}});
  Address address = server.address();
  address.user = "app";
  address.password = "word";
  EXPECT_TRUE(Open(address).ok());
}

TEST_F(ConnectionTest, TellsThatNobodyIsThere) {
  Address address;
  address.path = "/nonexistent/socket";
  EXPECT_EQ(Open(address).error().system_error, ENOENT);
  address.path = "";
  address.host = "localhost";
  {
    const os::Fd free = os::Listen(os::SocketAddress::Parse("127.0.0.1:0").value(), {}).value();
    address.port = os::SocketAddress::Of(free).value().port();
  }
  const auto places = Locate(address).value();
  for (const auto& place : places) {
    const auto connection = Connection::Open(address, place, {}, clock_, In(kAmple));
    ASSERT_FALSE(connection.ok());
    EXPECT_NE(connection.error().system_error, ETIMEDOUT);
  }
  address.host = "no-such-host.invalid";
  EXPECT_THAT(Open(address).error().message, HasSubstr("look up no-such-host.invalid"));
}

// 192.0.2.0/24 is nobody's: at best a router says so.
TEST_F(ConnectionTest, GivesUpConnectingInTime) {
  Address address;
  address.host = "192.0.2.1";
  address.port = 6379;
  const Time begin = clock_.Now();
  EXPECT_FALSE(Open(address, 50ms).ok());
  EXPECT_LT(clock_.Now() - begin, kAmple);
}

TEST_F(ConnectionTest, IsFullServersErrorAndNotItsEnd) {
  const RedisServer server({.words = {"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"}});
  auto connection = Open(server.address()).value();
  const std::string value(200'000, 'x');
  Reply reply;
  for (int i = 0; i < 20 && !reply.is(Reply::Kind::kError); ++i) {
    reply = connection.Call({"SET", "key" + std::to_string(i), value}, In(kAmple)).value();
  }
  ASSERT_TRUE(reply.is(Reply::Kind::kError));
  EXPECT_THAT(RefusalOf(reply).message, HasSubstr("OOM command not allowed"));
  EXPECT_TRUE(connection.Quiet());
  EXPECT_TRUE(connection.Call({"PING"}, In(kAmple)).value().is_status("PONG"));
}

TEST_F(ConnectionTest, IsClosedByATimeoutSoThatNoLateAnswerIsTheNextOnes) {
  RedisServer server;
  auto connection = Open(server.address()).value();
  server.Do({"SET", "key", "late"});
  server.Stop();
  const auto reply = connection.Call({"GET", "key"}, In(50ms));
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(IsTimeout(reply.error())) << reply.error().message;
  EXPECT_EQ(reply.error().retry, Retry::kIfIdempotent);
  EXPECT_FALSE(connection.open());
  EXPECT_FALSE(connection.Quiet());
  // It takes connections, and does not answer.
  EXPECT_TRUE(IsTimeout(Open(server.address(), 50ms).error()));
  server.Continue();
  EXPECT_EQ(Open(server.address()).value().Call({"GET", "key"}, In(kAmple)).value().text, "late");
}

TEST_F(ConnectionTest, SeesThatItWasClosedMeanwhile) {
  RedisServer server;
  auto connection = Open(server.address(), kAmple, {.name = "ours"}).value();
  EXPECT_TRUE(connection.Quiet());
  server.Do({"CLIENT", "KILL", "ID", server.Clients("ours").at(0)});
  EXPECT_FALSE(connection.Quiet());
  const auto reply = connection.Call({"PING"}, In(kAmple));
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(reply.error().system_error == ECONNRESET);
  EXPECT_FALSE(connection.open());

  auto another = Open(server.address()).value();
  server.Kill();
  EXPECT_FALSE(another.Quiet());
  EXPECT_FALSE(another.Call({"PING"}, In(kAmple)).ok());
}

TEST_F(ConnectionTest, TakesAnAnswerInAnyPieces) {
  const std::string answer = "*3\r\n$5\r\na\r\nbc\r\n:12\r\n$-1\r\n";
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::Greet(socket)) return;
    for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
      if (!FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, std::string_view(answer).substr(0, cut));
      std::this_thread::yield();
      FakeServer::Write(socket, std::string_view(answer).substr(cut));
    }
    FakeServer::AwaitEnd(socket);
  });
  auto connection = Open(server.address()).value();
  for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
    const Reply reply = connection.Call({"GET", "key"}, In(kAmple)).value();
    ASSERT_EQ(reply.elements.size(), 3U);
    EXPECT_EQ(reply.elements[0].text, "a\r\nbc");
  }
}

TEST_F(ConnectionTest, EndsWhereTheServerStopsInTheMiddle) {
  const std::string answer = "*2\r\n$5\r\nabcde\r\n:12\r\n";
  enum class Then { kClose, kSilence };
  for (const Then then : {Then::kClose, Then::kSilence}) {
    std::atomic<std::size_t> cut = 0;
    const FakeServer server([&](const os::Fd& socket) {
      if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, std::string_view(answer).substr(0, cut));
      if (then == Then::kSilence) FakeServer::AwaitEnd(socket);
    });
    for (; cut < answer.size(); cut += then == Then::kClose ? 1 : 5) {
      auto connection = Open(server.address()).value();
      const auto reply =
          connection.Call({"GET", "key"}, In(then == Then::kClose ? kAmple : Duration(20ms)));
      ASSERT_FALSE(reply.ok()) << cut;
      EXPECT_EQ(IsTimeout(reply.error()), then == Then::kSilence) << reply.error().message;
      EXPECT_FALSE(connection.open());
    }
  }
}

TEST_F(ConnectionTest, RefusesWhatNoRedisSays) {
  struct Case {
    const char* says;
    const char* why;
  };
  const Case cases[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "not an answer of Redis"},
      {"+OK\r\n+OK\r\n", "answered more than it was asked"},
      {"+OK\r\n$5\r\nabc", "answered more than it was asked"},
      {"*1000000\r\n", "more than 65536 elements"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.says);
    const FakeServer server([&](const os::Fd& socket) {
      if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
      FakeServer::Write(socket, c.says);
      FakeServer::AwaitEnd(socket);
    });
    auto connection = Open(server.address()).value();
    const auto reply = connection.Call({"GET", "key"}, In(kAmple));
    ASSERT_FALSE(reply.ok());
    EXPECT_THAT(reply.error().message, HasSubstr(c.why));
    EXPECT_EQ(reply.error().system_error, EPROTO);
    EXPECT_FALSE(connection.open());
  }
}

TEST_F(ConnectionTest, IsNotQuietWhereSomethingCameUnasked) {
  const os::Fd opened = os::NewWakeup().value();
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::Greet(socket) || !os::WaitReadable(opened, kAmple)) return;
    FakeServer::Write(socket, "+LATE\r\n");
    FakeServer::AwaitEnd(socket);
  });
  const auto connection = Open(server.address()).value();
  EXPECT_TRUE(connection.Quiet());
  os::Wake(opened);
  EXPECT_TRUE(testing::Eventually([&] { return !connection.Quiet(); }));
}

// Not by the memory it takes, nor by the time.
TEST_F(ConnectionTest, EndsAnEndlessAnswer) {
  for (const std::string_view begin : {"+", "$1000000000\r\n"}) {
    for (const Duration timeout : {Duration(100ms), kAmple}) {
      const FakeServer server([&](const os::Fd& socket) {
        if (!FakeServer::Greet(socket) || !FakeServer::AwaitCommands(socket, 1)) return;
        FakeServer::Write(socket, begin);
        const std::string much(10'000, 'x');
        while (FakeServer::Write(socket, much)) {
        }
      });
      const std::size_t bytes_max = timeout == kAmple ? 1 << 20 : std::size_t{1} << 40;
      auto connection =
          Open(server.address(), kAmple, {.limits = {.bytes_max = bytes_max}}).value();
      const Time begun = clock_.Now();
      const auto reply = connection.Call({"GET", "key"}, In(timeout));
      ASSERT_FALSE(reply.ok());
      EXPECT_EQ(IsTimeout(reply.error()), timeout != kAmple) << reply.error().message;
      EXPECT_LT(clock_.Now() - begun, kAmple);
    }
  }
}

TEST_F(ConnectionTest, DoesNotWaitForAServerThatReadsNothing) {
  const FakeServer server([&](const os::Fd& socket) {
    if (!FakeServer::Greet(socket)) return;
    os::WaitReadable(socket, kAmple);
    while (!os::PeerClosed(socket))
      std::this_thread::yield();
  });
  auto connection = Open(server.address()).value();
  const auto reply = connection.Call({"SET", "key", std::string(8 << 20, 'x')}, In(50ms));
  ASSERT_FALSE(reply.ok());
  EXPECT_TRUE(IsTimeout(reply.error())) << reply.error().message;
}

}  // namespace
}  // namespace onebox::redis
