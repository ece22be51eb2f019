#include "os/socket.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "os/error.h"
#include "os/file.h"
#include "os/wait.h"

namespace onebox::os {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

template <typename Raw>
const Raw& As(const sockaddr_storage& storage) {
  return *reinterpret_cast<const Raw*>(&storage);
}

template <typename Raw>
SocketAddress Made(const Raw& raw, std::size_t size) {
  sockaddr_storage storage{};
  std::memcpy(&storage, &raw, sizeof raw);
  return {storage, static_cast<socklen_t>(size)};
}

Result<SocketAddress> ParseUnix(std::string_view path) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof raw.sun_path) {
    return OperatorError(
        fmt::format("a unix socket path has 1 to {} bytes", sizeof raw.sun_path - 1));
  }
  std::memcpy(raw.sun_path, path.data(), path.size());
  const bool abstract = path.front() == '@';
  if (abstract) raw.sun_path[0] = '\0';
  return Made(raw, offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
}

Status SetOption(const Fd& socket, int level, int name, int value) {
  if (::setsockopt(socket.get(), level, name, &value, sizeof value) != 0) {
    return SystemError("setsockopt", errno);
  }
  return Done();
}

// A unix path is left behind by a server that was killed; nobody answers on it.
void RemoveStaleSocket(const SocketAddress& address, int type) {
  const std::string path = address.unix_path();
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const auto probe = Connect(address, type);
  if (!probe.ok() && probe.error().system_error == ECONNREFUSED) ::unlink(path.c_str());
}

}  // namespace

Result<SocketAddress> SocketAddress::Parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text.substr(kUnixPrefix.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return OperatorError(
        fmt::format("\"{}\" is not an address: expected ADDR:PORT, [v6]:PORT or unix:PATH", text));
  }
  const auto port = ParseDecimal(text.substr(colon + 1), 65535);
  if (!port) return OperatorError(fmt::format("\"{}\": the port is a number up to 65535", text));
  std::string host(text.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) {
    sockaddr_in6 raw{};
    raw.sin6_family = AF_INET6;
    raw.sin6_port = htons(static_cast<std::uint16_t>(*port));
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &raw.sin6_addr) != 1) {
      return OperatorError(fmt::format("\"{}\" is not an IPv6 address", host));
    }
    return Made(raw, sizeof raw);
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty() || host == "*") host = "0.0.0.0";
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(static_cast<std::uint16_t>(*port));
  if (::inet_pton(AF_INET, host.c_str(), &raw.sin_addr) != 1) {
    return OperatorError(
        fmt::format("\"{}\" is not an IP address; IPv6 stands in brackets: [::1]:8000", host));
  }
  return Made(raw, sizeof raw);
}

Result<SocketAddress> SocketAddress::Of(const Fd& socket) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&raw), &size) != 0) {
    return SystemError("getsockname", errno);
  }
  return SocketAddress(raw, size);
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(As<sockaddr_in>(raw_).sin_port);
  if (family() == AF_INET6) return ntohs(As<sockaddr_in6>(raw_).sin6_port);
  return 0;
}

std::span<const std::uint8_t> SocketAddress::ip_bytes() const {
  if (family() == AF_INET) {
    return {reinterpret_cast<const std::uint8_t*>(&As<sockaddr_in>(raw_).sin_addr), 4};
  }
  if (family() == AF_INET6) return {As<sockaddr_in6>(raw_).sin6_addr.s6_addr, 16};
  return {};
}

std::string SocketAddress::ip_text() const {
  if (is_unix()) return {};
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family(), ip_bytes().data(), text, sizeof text);
  return text;
}

std::string SocketAddress::text() const {
  if (family() == AF_INET6) return fmt::format("[{}]:{}", ip_text(), port());
  if (family() == AF_INET) return fmt::format("{}:{}", ip_text(), port());
  const std::string path = unix_path();
  if (!path.empty()) return fmt::format("{}{}", kUnixPrefix, path);
  const std::size_t begin = offsetof(sockaddr_un, sun_path) + 1;
  if (size_ <= begin) return std::string(kUnixPrefix);
  return fmt::format(
      "{}@{}", kUnixPrefix, std::string_view(As<sockaddr_un>(raw_).sun_path + 1, size_ - begin));
}

std::string SocketAddress::unix_path() const {
  if (!is_unix() || size_ <= offsetof(sockaddr_un, sun_path)) return {};
  return As<sockaddr_un>(raw_).sun_path;  // abstract: begins with NUL, so empty
}

Result<Fd> Listen(const SocketAddress& address, const ListenOptions& options) {
  Fd socket(::socket(address.family(), options.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket", errno);
  if (address.is_unix()) {
    RemoveStaleSocket(address, options.type);
  } else {
    TRY(SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 1));
    TRY(SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1));
    if (address.family() == AF_INET6) TRY(SetOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    // Seconds after which a connection without bytes is handed over all the same.
    if (options.defer_accept) TRY(SetOption(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5));
  }
  if (::bind(socket.get(), address.raw(), address.size()) != 0) {
    return SystemError(fmt::format("listen on {}", address.text()), errno);
  }
  if (options.for_all && !address.unix_path().empty()) {
    TRY(SetMode(address.unix_path(), 0666));
  }
  if (::listen(socket.get(), options.backlog_max) != 0) return SystemError("listen", errno);
  return socket;
}

Result<std::optional<Accepted>> Accept(const Fd& listener) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  Fd socket(::accept4(
      listener.get(), reinterpret_cast<sockaddr*>(&raw), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.valid()) return std::optional(Accepted{std::move(socket), {raw, size}});
  // Errors of the connection that was waiting, not of ours (accept(2)).
  constexpr std::array kNobody = {
      EAGAIN, ECONNABORTED, EINTR, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, EPERM};
  for (const int number : kNobody) {
    if (errno == number) return std::optional<Accepted>();
  }
  return SystemError("accept", errno);
}

Result<Fd> Connect(const SocketAddress& address, int type) {
  Fd socket(::socket(address.family(), type | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket", errno);
  if (::connect(socket.get(), address.raw(), address.size()) != 0) {
    return SystemError(fmt::format("connect to {}", address.text()), errno);
  }
  return socket;
}

Result<Fd> BeginConnect(const SocketAddress& address) {
  Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return SystemError("socket", errno);
  if (!address.is_unix()) TRY(SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1));
  if (::connect(socket.get(), address.raw(), address.size()) != 0 && errno != EINPROGRESS) {
    return SystemError(fmt::format("connect to {}", address.text()), errno);
  }
  return socket;
}

int ConnectFailure(const Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Result<Fd> ConnectWithin(const SocketAddress& address, Duration timeout) {
  Fd socket = TRY(BeginConnect(address));
  const int error = WaitWritable(socket, timeout) ? ConnectFailure(socket) : ETIMEDOUT;
  if (error != 0) return SystemError(fmt::format("connect to {}", address.text()), error);
  return socket;
}

Result<std::vector<SocketAddress>> Resolve(const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;  // AI_ADDRCONFIG would find no ::1 where only loopback is
  addrinfo* first = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &first);
  if (failure == EAI_SYSTEM) return SystemError(fmt::format("look up {}", host), errno);
  if (failure != 0) {
    return Error{.blame = Blame::kSystem,
                 .retry = Retry::kYes,
                 .message = fmt::format("look up {}: {}", host, ::gai_strerror(failure))};
  }
  std::vector<SocketAddress> found;
  for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    sockaddr_storage raw{};
    std::memcpy(&raw, one->ai_addr, one->ai_addrlen);
    found.emplace_back(raw, one->ai_addrlen);
  }
  ::freeaddrinfo(first);
  return found;
}

Result<unsigned> PeerUser(const Fd& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return SystemError("getsockopt SO_PEERCRED", errno);
  }
  return credentials.uid;
}

unsigned OurUser() {
  return ::geteuid();
}

unsigned OurGroup() {
  return ::getegid();
}

Result<Pair> NewSocketPair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair", errno);
  }
  return Pair{Fd(ends[0]), Fd(ends[1])};
}

Status SendDescriptors(const Fd& socket, std::string_view bytes, std::span<const int> descriptors) {
  CHECK(descriptors.size() <= kDescriptorsMax && !bytes.empty());
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return SystemError("sendmsg", errno);
  return Done();
}

Result<std::optional<Message>> ReceiveMessage(const Fd& socket, std::size_t bytes_max) {
  Message received;
  received.bytes.resize(bytes_max);
  iovec part{received.bytes.data(), bytes_max};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = -1;
  do {
    size = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return std::optional<Message>();
  if (size < 0) return SystemError("recvmsg", errno);
  received.bytes.resize(static_cast<std::size_t>(size));
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(head) + i * sizeof(int), sizeof number);
      received.descriptors.emplace_back(number);
    }
  }
  return std::optional(std::move(received));
}

void SetNonBlocking(const Fd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
}

}  // namespace onebox::os
