#include "os/handed_over.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/ascii.h"
#include "os/error.h"

namespace onebox::os {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START

std::string Of(const Variables& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

Result<int> OptionOf(int descriptor, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(descriptor, SOL_SOCKET, name, &value, &size) != 0) {
    return SystemError(fmt::format("handed-over descriptor {}", descriptor), errno);
  }
  return value;
}

Result<HandedOver> Find(int descriptor, const std::string& name) {
  const int type = TRY(OptionOf(descriptor, SO_TYPE));
  const int accepts = TRY(OptionOf(descriptor, SO_ACCEPTCONN));
  const int family = TRY(OptionOf(descriptor, SO_DOMAIN));
  const bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
  if (type != SOCK_STREAM || accepts == 0 || !known) {
    return OperatorError(
        fmt::format("handed-over descriptor {} ({}) is no listening stream socket: a .socket unit "
                    "says ListenStream= and Accept=no",
                    descriptor,
                    name.empty() ? "without a name" : name));
  }
  Fd socket(descriptor);
  auto address = SocketAddress::Of(socket);
  SetNonBlocking(socket);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  // Not TCP_DEFER_ACCEPT: it would stay when we are gone, and who waits for the next start too.
  constexpr int kOn = 1;
  if (family != AF_UNIX) {
    (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  }
  socket.Release();
  return HandedOver{.name = name, .address = TRY(std::move(address)), .descriptor = descriptor};
}

}  // namespace

Result<std::vector<std::string>> ParseHandedOver(const Variables& environment, pid_t our_pid) {
  if (Of(environment, "LISTEN_PID") != std::to_string(our_pid)) return std::vector<std::string>();
  const std::string written = Of(environment, "LISTEN_FDS");
  const auto count = ParseDecimal(written, kHandedOverMax);
  if (!count) {
    return OperatorError(
        fmt::format("LISTEN_FDS: expected a number up to {}, got \"{}\"", kHandedOverMax, written));
  }
  std::vector<std::string> names(*count);
  std::string_view rest = environment.contains("LISTEN_FDNAMES")
                              ? std::string_view(environment.at("LISTEN_FDNAMES"))
                              : std::string_view();
  for (std::string& name : names) {
    name = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
  }
  if (!rest.empty()) {
    return OperatorError(
        fmt::format("LISTEN_FDNAMES has more names than the {} of LISTEN_FDS", *count));
  }
  return names;
}

Result<std::vector<HandedOver>> FindHandedOver(const Variables& environment, pid_t our_pid) {
  const std::vector<std::string> names = TRY(ParseHandedOver(environment, our_pid));
  std::vector<HandedOver> found;
  for (std::size_t i = 0; i < names.size(); ++i) {
    found.push_back(TRY(Find(kFirst + static_cast<int>(i), names[i])));
  }
  return found;
}

}  // namespace onebox::os
