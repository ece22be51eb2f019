#include "os/stream_socket.h"

#include <array>
#include <cerrno>

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"

namespace onebox::os {
namespace {

Moved MovedOf(ssize_t result) {
  if (result >= 0) return {Moved::State::kDone, static_cast<std::size_t>(result)};
  const bool later = errno == EAGAIN || errno == EINTR;
  return {later ? Moved::State::kNotNow : Moved::State::kGone, 0};
}

}  // namespace

Moved Receive(const Fd& socket, std::span<char> buffer) {
  return MovedOf(::recv(socket.get(), buffer.data(), buffer.size(), 0));
}

Moved Peek(const Fd& socket, std::span<char> buffer) {
  return MovedOf(::recv(socket.get(), buffer.data(), buffer.size(), MSG_PEEK));
}

Moved Send(const Fd& socket, std::span<const std::string_view> parts, More more) {
  CHECK(parts.size() <= kSendPartsMax);
  const int flags = MSG_NOSIGNAL | (more == More::kFollows ? MSG_MORE : 0);
  if (parts.size() == 1) {
    return MovedOf(::send(socket.get(), parts[0].data(), parts[0].size(), flags));
  }
  std::array<iovec, kSendPartsMax> vectors{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = parts.size();
  return MovedOf(::sendmsg(socket.get(), &message, flags));
}

Moved SendFile(const Fd& socket, const Fd& file, std::uint64_t offset, std::size_t size) {
  auto position = static_cast<off_t>(offset);
  const Moved moved = MovedOf(::sendfile(socket.get(), file.get(), &position, size));
  const bool cut_short = moved.state == Moved::State::kDone && moved.bytes == 0 && size > 0;
  return cut_short ? Moved{Moved::State::kGone, 0} : moved;
}

void EndSending(const Fd& socket) {
  ::shutdown(socket.get(), SHUT_WR);
}

}  // namespace onebox::os
