#pragma once
// Client: one connection to the broker's socket; whole messages come in and go out.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "event/reactor.h"
#include "os/fd.h"

namespace onebox::broker {

// A message: its length (little-endian, 4 bytes), then one JSON object.
inline constexpr std::size_t kMessageBytesMax = std::size_t{8} << 20;
inline constexpr std::uint32_t kMessagesPerTurn =
    256;  // of one client; the rest waits for the next
inline constexpr std::size_t kUnsentBytesMax = std::size_t{64} << 20;  // then the client is closed

void AppendMessage(std::string& out, const nlohmann::json& message);

// open -> closed. Its owner frees it, not within one of its calls.
class Client final : public event::Watcher {
 public:
  // `take` is given each message; `closed` is told once, after the last of them.
  struct Owner {
    std::function<void(Client&, nlohmann::json)> take;
    std::function<void(Client&)> closed;
  };
  Client(os::Fd socket, event::Reactor& reactor, const Owner& owner)
      : socket_(std::move(socket)), reactor_(reactor), owner_(owner) {}

  Status Watch();

  // Sent at once where there is room, else as it comes. To one that is closed: nothing.
  void Send(const nlohmann::json& message);
  // Takes what still waits, and closes. REQUIRES: the process at the other end has ended.
  void CloseOfDead();
  // Once a turn: goes on where it stopped, because the turn had enough of it. Whether it did.
  bool Continue();
  bool open() const { return socket_.valid(); }

  std::uint32_t worker = 0;  // the number of the task worker that it has said to be; 0: none

 private:
  void OnReady(std::uint32_t events) override;
  void Read();
  void Parse();
  void Write();
  void End();

  os::Fd socket_;
  event::Reactor& reactor_;
  const Owner& owner_;
  std::string in_, out_;
  std::uint32_t taken_ = 0;  // messages in this turn
};

}  // namespace onebox::broker
