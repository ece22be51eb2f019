#include "database/connection.h"

#include <cerrno>
#include <optional>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/testing.h"
#include "os/stream_socket.h"
#include "os/testing.h"

namespace onebox::database {
namespace {

using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;
using testing::kAmple;
using testing::MariaDbServer;

class ConnectionTest : public ::testing::Test {
 protected:
  Result<Connection> Open(const Address& address, Duration timeout = kAmple) const {
    return Connection::Open(address, {.timeout = timeout}, clock_);
  }
  // However long a busy machine takes for it.
  Connection OpenShort(const Address& address) const {
    std::optional<Connection> connection;
    CHECK(testing::Eventually([&] {
      auto opened = Open(address, 300ms);
      if (opened.ok()) connection = std::move(opened).value();
      return connection.has_value();
    }));
    return *std::move(connection);
  }

  os::SystemClock clock_;
};

TEST_F(ConnectionTest, GivesBackWhatItWasGivenWhateverItsBytes) {
  const MariaDbServer server;
  Connection connection = Open(server.address()).value();
  std::string text = "'; DROP TABLE x; -- \\ \" ? \n\r\x1a \xf0\x9f\x8d\x9e";
  text += '\0';
  text += "'";
  const Answer answer = connection.Do("SELECT ?, ?, NULL, ?", {text, std::int64_t{-5}, ""}).value();
  ASSERT_EQ(answer.rows.size(), 1U);
  const auto& row = answer.rows[0];
  EXPECT_EQ(row.at(0), text);
  EXPECT_EQ(row.at(1), "-5");
  EXPECT_EQ(row.at(2), std::nullopt);
  EXPECT_EQ(row.at(3), "");
  // The app's server may have been told to read texts otherwise.
  ASSERT_TRUE(connection.Do("SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'").ok());
  EXPECT_EQ(connection.Do("SELECT ?", {text}).value().rows.at(0).at(0), text);
}

TEST_F(ConnectionTest, CountsWhatAStatementHasChanged) {
  const MariaDbServer server;
  Connection connection = Open(server.address()).value();
  ASSERT_TRUE(connection.Do("CREATE TABLE t (id INT PRIMARY KEY)").ok());
  EXPECT_EQ(connection.Do("INSERT INTO t VALUES (1), (2), (3)").value().changed, 3U);
  EXPECT_EQ(connection.Do("DELETE FROM t WHERE id > 1").value().changed, 2U);
  EXPECT_EQ(connection.Do("SELECT * FROM t").value().rows.size(), 1U);
  EXPECT_TRUE(connection.Do("SELECT * FROM t WHERE id = 2").value().rows.empty());
}

TEST_F(ConnectionTest, StaysOpenWhenTheServerRefuses) {
  const MariaDbServer server;
  Connection connection = Open(server.address()).value();
  const auto refused = connection.Do("SELECT * FROM nowhere");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("Table 'app.nowhere' doesn't exist"));
  EXPECT_EQ(refused.error().blame, Blame::kOperator);
  EXPECT_EQ(connection.refusal(), kNoSuchTable);
  EXPECT_TRUE(connection.open());
  EXPECT_TRUE(connection.Do("SELECT 1").ok());
  EXPECT_EQ(connection.refusal(), 0U);
}

TEST_F(ConnectionTest, SaysWhyItCouldNotOpen) {
  MariaDbServer server;
  EXPECT_THAT(Open(server.address("missing")).error().message,
              HasSubstr("Unknown database 'missing'"));
  server.Kill();
  const auto gone = Open(server.address());
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.error().retry, Retry::kYes);
  EXPECT_THAT(gone.error().message, HasSubstr(server.address().text()));
  Address nowhere;
  nowhere.host = "127.0.0.1";
  nowhere.port = 1;
  EXPECT_THAT(Open(nowhere).error().message, HasSubstr("mysql://127.0.0.1:1/"));
}

TEST_F(ConnectionTest, ClosesWhenItWasKilled) {
  MariaDbServer server(MariaDbServer::Life::kComesBack);
  Connection killed = Open(server.address()).value();
  server.KillConnections();
  const auto answer = killed.Do("SELECT 1");
  ASSERT_FALSE(answer.ok());
  EXPECT_FALSE(killed.open());
  Connection lost = Open(server.address()).value();
  server.Kill();
  EXPECT_EQ(lost.Do("SELECT 1").error().system_error, ECONNRESET);
  EXPECT_FALSE(lost.open());
  server.Start();
  EXPECT_TRUE(Open(server.address()).value().Do("SELECT 1").ok());
}

TEST_F(ConnectionTest, WaitsForAStoppedServerNoLongerThanItsTimeout) {
  MariaDbServer server;
  Connection connection = OpenShort(server.address());
  server.Stop();
  EXPECT_EQ(connection.Do("SELECT 1").error().system_error, ETIMEDOUT);
  EXPECT_FALSE(connection.open());
  const auto opened = Open(server.address(), 300ms);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().system_error, ETIMEDOUT);
  EXPECT_EQ(opened.error().retry, Retry::kYes);
  server.Continue();
  EXPECT_TRUE(Open(server.address()).value().Do("SELECT 1").ok());
}

TEST_F(ConnectionTest, EndsAStatementThatTakesTooLong) {
  const MariaDbServer server;
  Connection connection = OpenShort(server.address());
  EXPECT_EQ(connection.Do("SELECT SLEEP(100)").error().system_error, ETIMEDOUT);
}

TEST_F(ConnectionTest, WaitsForNobodysLockLongerThanASecond) {
  const MariaDbServer server;
  Connection holder = server.Connect(), waiter = server.Connect();
  ASSERT_TRUE(holder.Do("CREATE TABLE t (id INT PRIMARY KEY)").ok());
  ASSERT_TRUE(holder.Do("BEGIN").ok());
  ASSERT_TRUE(holder.Do("INSERT INTO t VALUES (1)").ok());
  const auto refused = waiter.Do("DELETE FROM t WHERE id = 1");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().retry, Retry::kYes);
  EXPECT_TRUE(waiter.open());
}

// One that answers bytes now and then, for ever.
TEST_F(ConnectionTest, WaitsForADrippingServerNoLongerThanItsTimeout) {
  const os::TemporaryFolder folder("database");
  Address address;
  address.path = folder.path() + "/socket";
  const os::Fd listener =
      os::Listen(os::SocketAddress::Parse("unix:" + address.path).value(), {}).value();
  std::thread server([&] {
    CHECK(os::WaitReadable(listener, kAmple));
    const os::Fd socket = std::move(os::Accept(listener).value()->socket);
    os::Send(socket, {{std::string_view("\x00\x20\x00\x00\x0a", 5)}});  // 8 KiB of a greeting
    while (!os::PeerClosed(socket)) {
      os::Send(socket, {{std::string_view("x")}});
      os::WaitReadable(socket, 5ms);
    }
  });
  EXPECT_EQ(Open(address, 300ms).error().system_error, ETIMEDOUT);
  server.join();
}

TEST_F(ConnectionTest, GivesUpAtOnceWhenItsOwnerWantsToEnd) {
  const MariaDbServer server;
  const os::Fd end = os::NewWakeup().value();
  Connection connection =
      Connection::Open(server.address(), {.timeout = kAmple, .interrupt = &end}, clock_).value();
  std::thread asker(
      [&] { EXPECT_EQ(connection.Do("SELECT SLEEP(100)").error().system_error, ECANCELED); });
  ASSERT_TRUE(testing::Eventually([&] {
    return server.Ask(
               "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User "
               "sleep'") == "1";
  }));
  os::Wake(end);
  asker.join();
  EXPECT_FALSE(connection.open());
}

TEST_F(ConnectionTest, UndoesATransactionThatIsLost) {
  const MariaDbServer server;
  {
    Connection connection = Open(server.address()).value();
    ASSERT_TRUE(connection.Do("CREATE TABLE t (id INT PRIMARY KEY)").ok());
    ASSERT_TRUE(connection.Do("BEGIN").ok());
    ASSERT_TRUE(connection.Do("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_TRUE(testing::Eventually(
      [&] { return server.Ask("SELECT COUNT(*) FROM information_schema.innodb_trx") == "0"; }));
  EXPECT_EQ(server.Ask("SELECT COUNT(*) FROM t"), "0");
}

}  // namespace
}  // namespace onebox::database
