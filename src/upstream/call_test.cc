// What becomes of a request when its server does this and that.
#include "upstream/call.h"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "os/wait.h"

namespace onebox::upstream {
namespace {

// A server whose every byte the test writes itself.
class FakeServer {
 public:
  FakeServer()
      : listener_(
            os::Listen(os::SocketAddress::Parse("127.0.0.1:0").value(), {.defer_accept = false})
                .value()) {}

  os::SocketAddress address() const { return os::SocketAddress::Of(listener_).value(); }
  // Whether somebody came.
  bool Accept() {
    auto accepted = os::Accept(listener_);
    if (!accepted.ok() || !accepted.value()) return false;
    socket_ = std::move(accepted.value()->socket);
    return true;
  }
  bool AnybodyWaits() { return os::WaitReadable(listener_, Duration(0)); }
  bool Readable() { return os::WaitReadable(socket_, Duration(0)); }
  std::string ReadUntil(std::string_view end) {
    std::string read;
    while (read.find(end) == read.npos && os::WaitReadable(socket_, seconds(10))) {
      std::array<char, 65536> buffer{};
      const os::Moved moved = os::Receive(socket_, buffer);
      if (moved.bytes == 0) break;
      read.append(buffer.data(), moved.bytes);
    }
    return read;
  }
  void Write(std::string_view bytes) {
    ASSERT_EQ(os::Send(socket_, std::span(&bytes, 1)).bytes, bytes.size());
  }
  void EndSending() { os::EndSending(socket_); }
  void Close() { socket_.Reset(); }
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }
  void StopListening() { listener_.Reset(); }

 private:
  os::Fd listener_;
  os::Fd socket_;
};

Settings OneServer() {
  Settings settings;
  settings.name = "app";
  settings.servers.push_back(ServerAddress::Parse("http://app:80").value());
  return settings;
}

class Calls : public testing::Test, public CallUser {
 protected:
  Calls() { upstream.servers()[0]->SetAddresses({server.address()}); }

  void OnInterim(const http::ResponseHead& head) override { interims.push_back(head.status); }
  void OnAnswer(const http::ResponseHead& head, std::string_view bytes, End end) override {
    status = head.status;
    body += bytes;
    ended = end == End::kComplete;
    if (pause_at_head) call.Pause();
  }
  void OnBody(std::string_view bytes, End end) override {
    body += bytes;
    ended = end == End::kComplete;
  }
  void OnFailed(const Failed& what) override {
    failed = what;
    if (again) std::exchange(again, nullptr)();
  }
  void OnTookBytes() override { ++took; }

  void Start(const Call::Request& request = {.head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                             .head_timeout = seconds(60)}) {
    status = 0;
    body.clear();
    ended = false;
    failed.reset();
    call.Start(*upstream.servers()[0], request, Call::Use::kAny);
  }
  // Turns until that holds; fails after a while.
  void Until(const std::function<bool()>& holds) {
    bool held = false;
    for (int turns = 0; turns < 5000 && !held; ++turns) {
      reactor->Turn(milliseconds(2));
      held = holds();
    }
    EXPECT_TRUE(held);
  }
  void UntilOver() {
    Until([this] { return ended || failed.has_value(); });
  }
  void Advance(Duration by) {
    clock.Advance(by);
    reactor->Turn(Duration(0));
    reactor->Turn(Duration(0));
  }
  // The server has the request, on a new connection.
  std::string Accepted() {
    Until([this] { return server.Accept(); });
    std::string head;
    Until([&] {
      if (server.Readable()) head += server.ReadUntil("\r\n\r\n");
      return head.find("\r\n\r\n") != head.npos;
    });
    return head;
  }

  FakeClock clock;
  std::unique_ptr<event::Reactor> reactor = event::Reactor::New(clock).value();
  std::vector<char> buffer = std::vector<char>(4096);
  FakeServer server;
  Upstream upstream{OneServer()};
  Client client{*reactor, buffer};
  Call call{client, upstream, *this};

  std::vector<int> interims;
  int status = 0;
  std::string body;
  bool ended = false;
  bool pause_at_head = false;
  int took = 0;
  std::optional<Failed> failed;
  std::function<void()> again;
};

TEST_F(Calls, BringTheAnswerAndKeepTheConnection) {
  Start();
  EXPECT_EQ(Accepted(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  UntilOver();
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(client.idle(), 1U);
  Start();
  EXPECT_NE(server.ReadUntil("\r\n\r\n"), "") << "on the same connection";
  server.Write("HTTP/1.1 204 No Content\r\n\r\n");
  UntilOver();
  EXPECT_EQ(status, 204);
  EXPECT_FALSE(server.AnybodyWaits());
  EXPECT_EQ(upstream.servers()[0]->seen().reused, 1U);
  EXPECT_EQ(upstream.servers()[0]->outstanding(), 0U);
}

TEST_F(Calls, AnswersMayComeByteByByte) {
  Start();
  Accepted();
  for (const char c : std::string_view(
           "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
           "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n")) {
    server.Write({&c, 1});
    reactor->Turn(milliseconds(1));
  }
  UntilOver();
  EXPECT_EQ(interims, std::vector<int>{103});
  EXPECT_EQ(body, "abcde");
  EXPECT_TRUE(ended);
  EXPECT_EQ(client.idle(), 1U);
}

TEST_F(Calls, AnAnswerWithoutALengthEndsWithTheConnection) {
  Start();
  Accepted();
  server.Write("HTTP/1.0 200 OK\r\n\r\nhel");
  Until([this] { return body == "hel"; });
  server.Write("lo");
  server.Close();
  UntilOver();
  EXPECT_EQ(body, "hello");
  EXPECT_TRUE(ended);
  EXPECT_EQ(client.idle(), 0U);
}

TEST_F(Calls, AConnectionWithMoreThanTheAnswerIsNotUsedAgain) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n");
  UntilOver();
  EXPECT_EQ(body, "ok");
  EXPECT_EQ(client.idle(), 0U);
}

TEST_F(Calls, AnIdleConnectionThatItsServerClosesIsGivenUp) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  UntilOver();
  ASSERT_EQ(client.idle(), 1U);
  server.Close();
  Until([this] {
    clock.Advance(milliseconds(10));
    return client.idle() == 0;
  });
}

TEST_F(Calls, AnIdleConnectionIsClosedAfterItsTime) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  UntilOver();
  ASSERT_EQ(client.idle(), 1U);
  for (int i = 0; i < 62; ++i)
    Advance(seconds(1));
  EXPECT_EQ(client.idle(), 0U);
}

// The server gives up an idle connection at the moment at which it is used.
TEST_F(Calls, AStaleConnectionIsNotTheServersFailure) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  UntilOver();
  server.Reset();
  Start();  // without a turn in which it would be seen
  UntilOver();
  ASSERT_TRUE(failed);
  EXPECT_TRUE(failed->stale);
  EXPECT_EQ(upstream.servers()[0]->seen().failures[static_cast<std::size_t>(failed->failure)], 0U);
}

TEST_F(Calls, WhatMustNotRunTwiceTakesNoOldConnection) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  UntilOver();
  Advance(seconds(2));
  Start({.head = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
         .method = http::Method::kPost,
         .head_timeout = seconds(60)});
  EXPECT_EQ(Accepted(), "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(upstream.servers()[0]->seen().connected, 2U);
}

TEST_F(Calls, TheBodyFollowsAsFastAsTheServerTakesIt) {
  const std::string sent(3 << 20, 'x');
  Start({.head = "PUT / HTTP/1.1\r\nContent-Length: 3145728\r\n\r\n",
         .body = sent,
         .body_bytes = sent.size(),
         .method = http::Method::kPut,
         .head_timeout = seconds(60)});
  std::string received = Accepted();
  while (received.size() < sent.size()) {
    reactor->Turn(milliseconds(1));
    received += server.ReadUntil("x");
  }
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  UntilOver();
  EXPECT_EQ(status, 200);
  EXPECT_EQ(received.size() - received.find("\r\n\r\n") - 4, sent.size());
}

TEST_F(Calls, AnAnswerBeforeTheRequestIsWholeCountsAndEndsTheConnection) {
  const std::string sent(30 << 20, 'x');
  Start({.head = "PUT / HTTP/1.1\r\nContent-Length: 31457280\r\n\r\n",
         .body = sent,
         .body_bytes = sent.size(),
         .method = http::Method::kPut,
         .head_timeout = seconds(60)});
  Accepted();
  server.Write("HTTP/1.1 413 Too much\r\nContent-Length: 3\r\n\r\nno!");
  UntilOver();
  EXPECT_EQ(status, 413);
  EXPECT_EQ(body, "no!");
  EXPECT_EQ(client.idle(), 0U);
}

TEST_F(Calls, FailWithTheReason) {
  const struct {
    std::string_view bytes;
    Failure failure;
    std::string_view detail;
    bool answering;
  } rows[] = {
      {"", Failure::kClosed, "", false},
      {"HTTP/1.1 200", Failure::kClosed, "", false},
      {"220 mail.example ESMTP\r\n\r\n",
       Failure::kHead,
       "the protocol of the answer is not HTTP/1",
       false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       Failure::kHead,
       "both Content-Length and Transfer-Encoding",
       false},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
       Failure::kHead,
       "another protocol, which nobody asked for",
       false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
       Failure::kBody,
       "it closed before the end",
       true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
       Failure::kBody,
       "it closed before the end",
       true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       Failure::kBody,
       "a chunk is not valid",
       true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.bytes);
    Start();
    Accepted();
    if (!row.bytes.empty()) server.Write(row.bytes);
    server.Close();
    UntilOver();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->failure, row.failure);
    EXPECT_EQ(failed->detail, row.detail);
    EXPECT_EQ(failed->answering, row.answering);
    EXPECT_FALSE(failed->untouched);
    EXPECT_FALSE(failed->stale);
    EXPECT_EQ(upstream.servers()[0]->outstanding(), 0U);
    EXPECT_EQ(client.idle(), 0U);
  }
}

TEST_F(Calls, AHeadThatHasNoEndIsRefused) {
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nA: " + std::string(40000, 'a'));
  UntilOver();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->detail, "the head of the answer is too large");
}

TEST_F(Calls, InterimAnswersWithoutEndAreRefused) {
  Start();
  Accepted();
  for (int i = 0; i < 20; ++i)
    server.Write("HTTP/1.1 102 Processing\r\n\r\n");
  UntilOver();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->detail, "too many interim answers");
}

TEST_F(Calls, NobodyListensIsKnownAtOnce) {
  server.StopListening();
  Start();
  UntilOver();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->failure, Failure::kConnect);
  EXPECT_TRUE(failed->untouched);
}

TEST_F(Calls, AHostWithoutAddressesIsKnownAtOnce) {
  upstream.servers()[0]->SetAddresses({});
  Start();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->failure, Failure::kUnknownHost);
}

TEST_F(Calls, EachPhaseHasItsTime) {
  Start();
  Accepted();
  Advance(seconds(59));
  server.Write("HTTP/1.1 200 OK\r\n");  // a byte now and then is no head
  reactor->Turn(milliseconds(10));
  EXPECT_FALSE(failed);
  Advance(seconds(2));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->failure, Failure::kHeadTimeout);

  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na");
  Until([this] { return status == 200; });
  Advance(seconds(59));
  server.Write("b");
  Until([this] { return body == "ab"; });
  Advance(seconds(59));
  EXPECT_FALSE(failed);
  Advance(seconds(2));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->failure, Failure::kReadTimeout);
}

TEST_F(Calls, AServerThatTakesNothingHasItsTimeToo) {
  const std::string sent(30 << 20, 'x');
  Start({.head = "PUT / HTTP/1.1\r\nContent-Length: 31457280\r\n\r\n",
         .body = sent,
         .body_bytes = sent.size(),
         .method = http::Method::kPut,
         .head_timeout = seconds(60)});
  Accepted();
  Advance(seconds(31));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->failure, Failure::kSendTimeout);
}

TEST_F(Calls, AUserThatHasEnoughIsWaitedFor) {
  pause_at_head = true;
  Start();
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + std::string(20000, 'a'));
  Until([this] { return status == 200; });
  for (int i = 0; i < 10; ++i)
    Advance(seconds(60));
  EXPECT_FALSE(failed) << "it is not the server that is slow";
  EXPECT_LT(body.size(), 5000U);
  call.Resume();
  UntilOver();
  EXPECT_EQ(body.size(), 20000U);
}

TEST_F(Calls, MayBeginAgainWhenTheyFail) {
  again = [this] { Start(); };
  Start();
  Accepted();
  server.Close();
  Until([this] { return upstream.servers()[0]->seen().connected == 2; });
  Accepted();
  server.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  UntilOver();
  EXPECT_EQ(body, "ok");
}

TEST_F(Calls, AnotherProtocolIsATunnel) {
  Start({.head = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
         .upgrade = true,
         .head_timeout = seconds(60)});
  Accepted();
  server.Write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nhello");
  Until([this] { return body == "hello"; });
  EXPECT_EQ(status, 101);
  call.Send("ping");
  EXPECT_EQ(server.ReadUntil("ping"), "ping");
  const std::string much(8 << 20, 'x');
  call.Send(much);
  EXPECT_GT(call.pending(), 0U);
  std::string read;
  while (read.size() < much.size()) {
    reactor->Turn(milliseconds(1));
    read += server.ReadUntil("x");
  }
  Until([this] { return call.pending() == 0 && took > 0; });
  call.EndSending();
  EXPECT_EQ(server.ReadUntil("?"), "") << "it hears the end";
  server.Write("bye");
  server.Close();
  UntilOver();
  EXPECT_EQ(body, "hellobye");
  EXPECT_TRUE(ended);
}

TEST_F(Calls, ATunnelInWhichNothingMovesIsClosed) {
  Start({.head = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
         .upgrade = true,
         .head_timeout = seconds(60)});
  Accepted();
  server.Write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n");
  Until([this] { return status == 101; });
  Advance(seconds(599));
  EXPECT_FALSE(ended);
  call.Send("x");
  Advance(seconds(599));
  EXPECT_FALSE(ended);
  Advance(seconds(2));
  EXPECT_TRUE(ended);
}

TEST_F(Calls, LetGoOfWhatNobodyWants) {
  Start();
  Accepted();
  call.Abandon();
  EXPECT_FALSE(call.running());
  EXPECT_EQ(server.ReadUntil("?"), "") << "the server hears that it is over";
  EXPECT_EQ(upstream.servers()[0]->outstanding(), 0U);
}

}  // namespace
}  // namespace onebox::upstream
