#pragma once
// Servers to test against: a real Redis, and one that answers what a test tells it to.

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/poll.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/stream_socket.h"
#include "os/testing.h"
#include "os/wait.h"
#include "redis/connection.h"

namespace onebox::redis::testing {

// Long enough for any machine that is only busy.
inline constexpr Duration kAmple = std::chrono::seconds(20);

inline Time In(Duration from_now) {
  return os::SystemClock().Now() + from_now;
}

// Asks until it is so; false after kAmple.
inline bool Eventually(const std::function<bool()>& holds) {
  const Time deadline = In(kAmple);
  const os::Fd never = os::NewWakeup().value();
  while (!holds()) {
    if (os::SystemClock().Now() > deadline) return false;
    os::WaitReadable(never, std::chrono::milliseconds(2));
  }
  return true;
}

// Debian's redis-server on a unix socket, and on loopback if asked, without persistence. It is there
// until it is killed, at the latest with this object.
class RedisServer {
 public:
  struct Options {
    std::vector<std::string> words = {};  // more of its command line
    bool loopback = false;
  };
  RedisServer() : RedisServer(Options()) {}
  explicit RedisServer(Options options) : options_(std::move(options)) { Start(); }
  ~RedisServer() { Kill(); }

  void Start() {
    CHECK(Eventually([this] { return TryStart(); }));
  }
  void Kill() {
    if (!child_) return;
    child_->Signal(SIGKILL);
    CHECK(os::WaitReadable(child_->pidfd(), kAmple));
    child_->Reap();
    child_.reset();
  }
  void Stop() { os::StopAndWait(*child_); }
  void Continue() { child_->Signal(SIGCONT); }

  Address address() const {
    Address address;
    address.path = folder_.path() + "/socket";
    return address;
  }
  Address loopback() const {
    Address address;
    address.host = "127.0.0.1";
    address.port = port_;
    return address;
  }

  // For what a test does behind the back of what it tests.
  Connection Connect(std::string_view name = "test") const {
    auto connection = Connection::Open(address(),
                                       Locate(address()).value().front(),
                                       {.name = std::string(name)},
                                       clock_,
                                       In(kAmple));
    CHECK(connection.ok());
    return std::move(connection).value();
  }
  Reply Do(std::initializer_list<std::string_view> words) const {
    return Connect().Call(words, In(kAmple)).value();
  }
  // The ids of its connections of that name.
  std::vector<std::string> Clients(std::string_view name) const {
    return ClientsWith(" name=" + std::string(name) + " ");
  }
  // Of those in whose line of CLIENT LIST that stands.
  std::vector<std::string> ClientsWith(std::string_view words) const {
    const std::string list = Do({"CLIENT", "LIST"}).text;
    std::vector<std::string> ids;
    for (std::size_t begin = 0; begin < list.size();) {
      const std::size_t end = std::min(list.find('\n', begin), list.size());
      const std::string line = list.substr(begin, end - begin);
      if (line.find(words) != std::string::npos) {
        ids.push_back(line.substr(3, line.find(' ') - 3));  // "id=7 addr=..."
      }
      begin = end + 1;
    }
    return ids;
  }

 private:
  bool TryStart() {
    if (options_.loopback) {
      const os::Fd free = os::Listen(os::SocketAddress::Parse("127.0.0.1:0").value(), {}).value();
      port_ = os::SocketAddress::Of(free).value().port();
    }
    os::Command command;
    command.words = {"redis-server",
                     "--port",
                     std::to_string(port_),
                     "--bind",
                     "127.0.0.1",
                     "--unixsocket",
                     address().path,
                     "--dir",
                     folder_.path(),
                     "--logfile",
                     folder_.path() + "/log",
                     "--save",
                     "",
                     "--appendonly",
                     "no"};
    command.words.insert(command.words.end(), options_.words.begin(), options_.words.end());
    command.environment = os::Environment();
    std::filesystem::remove(address().path);
    child_.emplace(os::Spawn(command).value().child);
    const bool answers = Eventually([this] { return HasEnded() || Answers(); });
    if (answers && !HasEnded()) return true;
    Kill();
    return false;  // another has taken the port
  }
  bool HasEnded() const { return os::WaitReadable(child_->pidfd(), Duration::zero()); }
  bool Answers() const {
    const auto connection = Connection::Open(
        address(), Locate(address()).value().front(), {}, clock_, In(std::chrono::seconds(1)));
    // One that wants a password answers too.
    return connection.ok() || connection.error().message.find("NOAUTH") != std::string::npos;
  }

  os::SystemClock clock_;
  Options options_;
  os::TemporaryFolder folder_{"redis"};
  std::uint16_t port_ = 0;
  std::optional<os::Child> child_;
};

// Runs `serve` for each connection, one after the other, in a thread of its own. It ends when the
// object does: `serve` returns when the client has closed.
class FakeServer {
 public:
  using Serve = std::function<void(const os::Fd& socket)>;

  explicit FakeServer(Serve serve)
      : serve_(std::move(serve)),
        listener_(
            os::Listen(os::SocketAddress::Parse("unix:" + address().path).value(), {}).value()),
        thread_([this] { Run(); }) {}
  ~FakeServer() {
    os::Wake(end_);
    thread_.join();
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  Address address() const {
    Address address;
    address.path = folder_.path() + "/socket";
    return address;
  }

  // Until that many commands have come; false where the client has closed before.
  static bool AwaitCommands(const os::Fd& socket, std::size_t count) {
    std::string bytes;
    std::array<char, 4096> buffer{};
    while (true) {
      std::size_t begun = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i)
        begun += bytes[i] == '*' && (i == 0 || bytes[i - 1] == '\n') ? 1U : 0U;
      if (begun >= count && bytes.ends_with("\r\n")) return true;
      if (!os::WaitReadable(socket, kAmple)) return false;
      const os::Moved moved = os::Receive(socket, buffer);
      if (moved.state == os::Moved::State::kGone) return false;
      if (moved.state == os::Moved::State::kDone && moved.bytes == 0) return false;
      bytes.append(buffer.data(), moved.bytes);
    }
  }
  // What Connection::Open() asks where there is no password and no database.
  static bool Greet(const os::Fd& socket) {
    if (!AwaitCommands(socket, 2)) return false;
    Write(socket, "+OK\r\n+PONG\r\n");
    return true;
  }
  // False where the client has closed.
  static bool Write(const os::Fd& socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const os::Moved moved = os::Send(socket, {{bytes}});
      if (moved.state == os::Moved::State::kGone) return false;
      if (moved.state == os::Moved::State::kNotNow && !os::WaitWritable(socket, kAmple))
        return false;
      bytes.remove_prefix(moved.bytes);
    }
    return true;
  }
  static void AwaitEnd(const os::Fd& socket) {
    std::array<char, 4096> buffer{};
    while (os::WaitReadable(socket, kAmple)) {
      const os::Moved moved = os::Receive(socket, buffer);
      if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return;
    }
  }

 private:
  void Run() {
    const std::array wanted = {listener_.get(), end_.get()};
    while (true) {
      const std::vector<int> ready = os::WaitReadable(wanted, std::nullopt);
      if (std::find(ready.begin(), ready.end(), end_.get()) != ready.end()) return;
      auto accepted = os::Accept(listener_);
      if (accepted.ok() && accepted.value()) serve_(accepted.value()->socket);
    }
  }

  Serve serve_;
  os::TemporaryFolder folder_{"redis"};
  os::Fd listener_;
  os::Fd end_ = os::NewWakeup().value();
  std::thread thread_;
};

}  // namespace onebox::redis::testing
