#include "os/line_sink.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::os {
namespace {

// O_NONBLOCK does nothing to a file; a named pipe without a reader is an Error instead of a wait.
Fd OpenWithoutWaiting(const std::string& path, int flags) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  return Fd(::open(path.c_str(), kFlags | flags, 0640));
}

// A pipe or a terminal opened again through /proc is ours alone: it can be made non-blocking without
// doing so to the shell that gave it to us. Nothing where that is not allowed.
Fd OpenedAgain(int descriptor) {
  return OpenWithoutWaiting(fmt::format("/proc/self/fd/{}", descriptor), 0);
}

}  // namespace

Result<LineSink> LineSink::Open(const std::string& path, int standard) {
  if (path == "-") return Duplicate(standard);
  Fd file = OpenWithoutWaiting(path, O_CREAT);
  if (!file.valid()) return SystemError(path, errno);
  return LineSink(std::move(file));
}

Result<LineSink> LineSink::Duplicate(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return SystemError("fstat", errno);
  Fd file;
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) file = OpenedAgain(descriptor);
  if (!file.valid()) file.Reset(::fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
  if (!file.valid()) return SystemError("dup", errno);
  LineSink sink(std::move(file));
  sink.socket_ = S_ISSOCK(status.st_mode);
  return sink;
}

bool LineSink::WaitForRoom(Duration patience) const {
  pollfd waited{.fd = file_.get(), .events = POLLOUT, .revents = 0};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
  return ::poll(&waited, 1, static_cast<int>(milliseconds)) > 0 && (waited.revents & POLLOUT) != 0;
}

std::ptrdiff_t LineSink::WriteOnce(std::string_view bytes) const {
  if (!socket_) return ::write(file_.get(), bytes.data(), bytes.size());
  return ::send(file_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::size_t LineSink::Write(std::string_view lines, Duration patience) {
  if (torn_ && WriteOnce("\n") != 1) return 0;
  torn_ = false;
  std::size_t written = 0;
  bool waited = stuck_;
  while (written < lines.size()) {
    const auto count = WriteOnce(lines.substr(written));
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      waited = false;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN || waited) break;
    waited = true;
    if (!WaitForRoom(patience)) break;
  }
  stuck_ = written < lines.size();
  if (written > 0) torn_ = lines[written - 1] != '\n';
  return written;
}

}  // namespace onebox::os
