#include "front/tls_link.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "front/output.h"
#include "os/socket.h"
#include "tls/testing.h"

namespace onebox::front {
namespace {

using tls::testing::kNow;

std::string Pattern(std::size_t size) {
  std::string bytes(size, ' ');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>('a' + i * i % 23);
  return bytes;
}

// A server's link, and its client in memory, over a socket that takes little.
class TlsLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const int small = 4096;
    ::setsockopt(sockets_.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const auto issued = tls::testing::Issue({.common_name = "game.example"});
    const auto certificate =
        tls::Certificate::Parse(issued.CertificatePem(), issued.KeyPem()).value();
    auto server = tls::ServerContext::Make({}, {certificate}).value();
    auto client = tls::ClientContext::Make({.verify = tls::Verify::kNothing}).value();
    client_ = std::make_unique<tls::Session>(std::move(client), "game.example", kNow);
    auto link = std::make_unique<TlsLink>(std::move(server), kNow, room_, budget_);
    link_ = link.get();
    transport_ = std::make_unique<Transport>(std::move(sockets_.ours), std::move(link));
  }

  // What the client has to say leaves, what has come for it is opened.
  void ServeClient(std::size_t most = 1 << 20) {
    FlushClient();
    std::vector<char> buffer(8192);
    for (std::size_t taken = 0; taken < most;) {
      const os::Moved moved = os::Receive(sockets_.theirs, buffer);
      if (moved.state != os::Moved::State::kDone || moved.bytes == 0) break;
      taken += moved.bytes;
      tls::testing::Deliver(*client_, {buffer.data(), moved.bytes}, 8192, at_client_, said_);
    }
    FlushClient();
  }
  void FlushClient() {
    const std::string_view rest = said_;
    if (rest.empty()) return;
    const os::Moved moved = os::Send(sockets_.theirs, {&rest, 1});
    said_.erase(0, moved.bytes);
  }

  void Handshake() {
    client_->Start(said_);
    for (int turn = 0; turn < 1000; ++turn) {
      ServeClient();
      if (link_->Handshake(transport_->socket()) == TlsLink::Step::kOpen) return ServeClient();
    }
    FAIL() << "no end of the handshake";
  }

  // As a client takes it that reads a little now and then.
  void WriteAll(Output& output) {
    for (;;) {
      const Output::Wrote wrote = output.WriteTo(*transport_, Time());
      ASSERT_NE(wrote, Output::Wrote::kGone);
      if (wrote == Output::Wrote::kAll) break;
      ServeClient(3000);
    }
    ServeClient();
  }

  const std::string folder_ = ::testing::TempDir();
  Budget budget_{4 << 20};
  TlsRoom room_;
  os::Pair sockets_ = os::NewSocketPair(SOCK_STREAM).value();
  std::unique_ptr<tls::Session> client_;
  std::unique_ptr<Transport> transport_;
  TlsLink* link_ = nullptr;
  std::string said_;  // by the client, not yet sent
  std::string at_client_;
};

TEST_F(TlsLinkTest, GivesBytesAwayInTheirOrderHoweverLittleTheSocketTakes) {
  Handshake();
  const std::string bytes = Pattern(500'000);
  {
    Output output(budget_, {.memory_max = 100'000, .folder = folder_}, Time());
    for (std::size_t i = 0; i < bytes.size(); i += 7000) {
      ASSERT_TRUE(output.Append(std::string_view(bytes).substr(i, 7000)));
      ASSERT_NE(output.WriteTo(*transport_, Time()), Output::Wrote::kGone);
    }
    WriteAll(output);
    EXPECT_EQ(output.sent(), bytes.size());
  }
  EXPECT_EQ(at_client_, bytes);
  EXPECT_EQ(budget_.used(), 0U);
}

TEST_F(TlsLinkTest, SealsTheHeadWithThePiecesAndFilesBehindIt) {
  Handshake();
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  const std::string bytes = Pattern(150'000);
  Body body;
  body.Append({nullptr, std::string_view(bytes).substr(0, 100'000)});
  body.Append({nullptr, std::string_view(bytes).substr(100'000)});
  Output output(budget_, {.memory_max = 1 << 20, .folder = folder_}, Time());
  ASSERT_TRUE(output.Append(head));
  output.AppendPieces(std::move(body));
  WriteAll(output);
  EXPECT_EQ(at_client_, head + bytes);
}

TEST_F(TlsLinkTest, OpensWhatCameTogetherAndSaysWhenTheSocketIsEmpty) {
  Handshake();
  const std::string bytes = Pattern(100'000);
  std::string sealed;
  ASSERT_TRUE(client_->Send(bytes, sealed));
  client_->End(sealed);
  said_ += sealed;
  std::string read;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    FlushClient();
    const os::Moved moved = transport_->Receive(buffer);
    ASSERT_NE(moved.state, os::Moved::State::kGone);
    if (moved.state == os::Moved::State::kNotNow) {
      EXPECT_TRUE(transport_->emptied());
      continue;
    }
    if (moved.bytes == 0) break;  // close_notify
    read.append(buffer.data(), moved.bytes);
  }
  EXPECT_EQ(read, bytes);
}

TEST_F(TlsLinkTest, SaysGoodbyeOnce) {
  Handshake();
  transport_->SayGoodbye();
  transport_->EndSending();
  ServeClient();
  EXPECT_EQ(client_->state(), tls::Session::State::kEnded);
}

TEST_F(TlsLinkTest, IsOverWhenTheBudgetIs) {
  Handshake();
  ASSERT_TRUE(budget_.Take(4 << 20));
  const std::string bytes = Pattern(100'000);
  EXPECT_EQ(transport_->Send(bytes, {}).state, os::Moved::State::kGone);
  budget_.GiveBack(4 << 20);
}

}  // namespace
}  // namespace onebox::front
