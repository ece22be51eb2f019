#pragma once
// The bytes to and from one client.

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "front/body.h"
#include "os/fd.h"
#include "os/stream_socket.h"

namespace onebox::front {

// A connected socket that does not block. What is said here of a try is what os::Moved says.
class Transport {
 public:
  explicit Transport(os::Fd socket) : socket_(std::move(socket)) {}

  const os::Fd& socket() const { return socket_; }
  os::Fd TakeSocket() { return std::move(socket_); }

  os::Moved Receive(std::span<char> buffer) { return os::Receive(socket_, buffer); }
  // As much of `first` and the pieces behind it as one system call takes.
  os::Moved Send(std::string_view first, std::span<const Piece> pieces);
  void EndSending() { os::EndSending(socket_); }

 private:
  os::Fd socket_;
};

}  // namespace onebox::front
