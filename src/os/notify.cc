#include "os/notify.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <sys/time.h>

#include "os/error.h"

namespace onebox::os {
namespace {

constexpr timeval kPatience = {1, 0};

}  // namespace

Result<NotifySocket> NotifySocket::Open(const std::string& name) {
  if (!name.starts_with('/') && !name.starts_with('@')) {
    return OperatorError(fmt::format("\"{}\" is neither a path nor an abstract name", name));
  }
  const SocketAddress address = TRY(SocketAddress::Parse("unix:" + name));
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket", errno);
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) != 0) {
    return SystemError("setsockopt SO_SNDTIMEO", errno);
  }
  return NotifySocket(std::move(socket), address);
}

// To the name each time, not over a connection: the manager may have opened it anew.
Status NotifySocket::Send(std::string_view lines) const {
  ssize_t sent = -1;
  do {
    sent = ::sendto(
        socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL, address_.raw(), address_.size());
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return SystemError(fmt::format("notify {}", address_.text()), errno);
  return Done();
}

}  // namespace onebox::os
