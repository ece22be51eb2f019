#pragma once
// The socket on which a service manager hears how its service is: sd_notify(3) is one datagram.

#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"
#include "os/socket.h"

namespace onebox::os {

class NotifySocket {
 public:
  // As NOTIFY_SOCKET names it: a path, or "@" with an abstract name.
  static Result<NotifySocket> Open(const std::string& name);

  // "READY=1\nSTATUS=..."; waits for a moment at most where the other side is behind.
  Status Send(std::string_view lines) const;

 private:
  NotifySocket(Fd socket, SocketAddress address) : socket_(std::move(socket)), address_(address) {}

  Fd socket_;
  SocketAddress address_;
};

}  // namespace onebox::os
