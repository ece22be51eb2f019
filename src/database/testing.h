#pragma once
// A real MariaDB to test against.

#include <chrono>
#include <csignal>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "database/connection.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/testing.h"
#include "os/wait.h"

namespace onebox::database::testing {

// Long enough for any machine that is only busy.
inline constexpr Duration kAmple = std::chrono::seconds(20);

// Asks until it is so; false after kAmple.
inline bool Eventually(const std::function<bool()>& holds) {
  const os::SystemClock clock;
  const Time deadline = clock.Now() + kAmple;
  const os::Fd never = os::NewWakeup().value();
  while (!holds()) {
    if (clock.Now() > deadline) return false;
    os::WaitReadable(never, std::chrono::milliseconds(2));
  }
  return true;
}

// Debian's mariadbd on a unix socket, with its data in a folder of its own. It begins with no table of rights,
// which takes a second where mariadb-install-db takes several; so anybody may do anything, with any password. It
// has a database "app", and is there until it is killed, at the latest with this object.
class MariaDbServer {
 public:
  // One that was never shut down does not always start again after a kill: it has not written all its
  // files yet.
  enum class Life : unsigned char { kOnce, kComesBack };

  explicit MariaDbServer(Life life = Life::kOnce) {
    Start();
    DoIn("", {"CREATE DATABASE app"});
    if (life == Life::kOnce) return;
    End(SIGTERM);
    Start();
  }
  ~MariaDbServer() { Kill(); }
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;

  void Start() {
    os::Command command;
    command.words = {Program(),
                     "--no-defaults",
                     "--datadir=" + folder_.path(),
                     "--socket=socket",
                     "--pid-file=pid",
                     "--skip-networking",
                     "--skip-grant-tables",
                     "--skip-log-bin",
                     "--innodb-log-file-size=4M",
                     "--innodb-buffer-pool-size=8M",
                     "--innodb-flush-log-at-trx-commit=2"};
    if (os::OurUser() == 0) command.words.emplace_back("--user=root");
    command.environment = os::Environment();
    auto spawned = os::Spawn(command);
    CHECK(spawned.ok());
    child_.emplace(std::move(spawned.value().child));
    output_ = std::move(spawned.value().output);
    std::string said;
    CHECK(Eventually([&] {
      said += os::ReadAvailable(output_);
      const bool ended = os::WaitReadable(child_->pidfd(), Duration::zero());
      if (ended) std::fputs(said.c_str(), stderr);
      CHECK(!ended);
      return Open("").ok();
    }));
  }
  void Kill() { End(SIGKILL); }
  void Stop() { os::StopAndWait(*child_); }
  void Continue() { child_->Signal(SIGCONT); }

  Address address(std::string_view database = "app") const {
    Address address;
    address.path = folder_.path() + "/socket";
    address.user = "app";
    address.database = database;
    return address;
  }

  // For what a test does behind the back of what it tests.
  Connection Connect() const {
    auto connection = Open("app");
    CHECK(connection.ok());
    return std::move(connection).value();
  }
  Answer Do(std::initializer_list<std::string_view> statements) const {
    return DoIn("app", statements);
  }
  // The first cell of the first row.
  std::string Ask(std::string_view statement) const { return *Do({statement}).rows.at(0).at(0); }

  // Ends all connections but the one that it asks with.
  void KillConnections() const {
    auto connection = Connect();
    const auto list = connection.Do(
        "SELECT id FROM information_schema.processlist WHERE user = 'app' AND id <> "
        "CONNECTION_ID()");
    for (const auto& row : list.value().rows)
      static_cast<void>(connection.Do("KILL " + *row.at(0)));  // which may have ended by itself
  }

 private:
  void End(int signal) {
    if (!child_) return;
    child_->Signal(signal);
    CHECK(os::WaitReadable(child_->pidfd(), kAmple));
    child_->Reap();
    child_.reset();
  }
  static std::string Program() {
    return os::FindInPath("mariadbd", "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin");
  }
  Result<Connection> Open(std::string_view database) const {
    return Connection::Open(address(database), {.timeout = kAmple}, clock_);
  }
  Answer DoIn(std::string_view database, std::initializer_list<std::string_view> statements) const {
    auto connection = Open(database);
    CHECK(connection.ok());
    Answer last;
    for (const std::string_view statement : statements) {
      auto answer = connection.value().Do(statement);
      if (!answer.ok()) std::fprintf(stderr, "%s\n", answer.error().message.c_str());
      last = std::move(answer).value();
    }
    return last;
  }

  os::SystemClock clock_;
  os::TemporaryFolder folder_{"database"};
  std::optional<os::Child> child_;
  os::Fd output_;
};

}  // namespace onebox::database::testing
