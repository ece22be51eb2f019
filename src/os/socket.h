#pragma once
// Sockets: addresses, listening, accepting, connecting, and descriptors sent beside bytes.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// "127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock", "unix:@abstract".
class SocketAddress {
 public:
  static Result<SocketAddress> Parse(std::string_view text);
  // The local address of a socket; tells the port where 0 was asked for.
  static Result<SocketAddress> Of(const Fd& socket);
  // What accept() filled in.
  SocketAddress(const sockaddr_storage& raw, socklen_t size) : raw_(raw), size_(size) {}

  int family() const { return raw_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  std::uint16_t port() const;                      // 0 for unix
  std::span<const std::uint8_t> ip_bytes() const;  // 4 or 16 in network order; empty for unix
  std::string ip_text() const;                     // without brackets; empty for unix
  std::string text() const;                        // as Parse() takes it
  std::string unix_path() const;                   // empty for abstract and for IP

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&raw_); }
  socklen_t size() const { return size_; }

 private:
  sockaddr_storage raw_{};
  socklen_t size_ = 0;
};

struct ListenOptions {
  int backlog_max = 4096;
  bool defer_accept = true;  // TCP: wake up only when bytes are there
  int type = SOCK_STREAM;    // or SOCK_SEQPACKET for unix
  bool for_all = false;  // unix: whoever may enter its folder may connect, whatever the umask says
};
// Non-blocking. TCP: SO_REUSEADDR, TCP_NODELAY (inherited by what is accepted). An unix path that
// nobody listens on is replaced; one that is in use is an error.
Result<Fd> Listen(const SocketAddress& address, const ListenOptions& options);

struct Accepted {
  Fd socket;  // non-blocking, close-on-exec
  SocketAddress peer;
};
// Nothing where nobody waits (EAGAIN) or the waiting one has left already.
Result<std::optional<Accepted>> Accept(const Fd& listener);

// Blocking; non-blocking afterwards is the caller's business.
Result<Fd> Connect(const SocketAddress& address, int type);
// A byte stream that does not block, with TCP_NODELAY where it has that. It is connected, or will be
// when it can be written to and ConnectFailure() is 0. EAGAIN where a unix socket's backlog is full.
Result<Fd> BeginConnect(const SocketAddress& address);
int ConnectFailure(const Fd& socket);  // an errno
// The same, waiting for it: ETIMEDOUT after `timeout`,
// EAGAIN at once where a unix socket's backlog is full.
Result<Fd> ConnectWithin(const SocketAddress& address, Duration timeout);

// The addresses of a host, in the order to try them: a name, or an IP address without brackets. Asks
// the system's resolver and waits for it, 30 s and more where no name server answers.
Result<std::vector<SocketAddress>> Resolve(const std::string& host, std::uint16_t port);

// The user id of the process at the other end of a unix socket.
Result<unsigned> PeerUser(const Fd& socket);

unsigned OurUser();
unsigned OurGroup();

struct Pair {
  Fd ours, theirs;
};
Result<Pair> NewSocketPair(int type);  // unix, close-on-exec, non-blocking

inline constexpr std::size_t kDescriptorsMax = 16;  // that one message carries

// One message with descriptors, on a unix socket; EAGAIN is an Error with that system_error.
Status SendDescriptors(const Fd& socket, std::string_view bytes, std::span<const int> descriptors);

struct Message {
  std::string bytes;  // empty: the other side has closed
  std::vector<Fd> descriptors;
};
// One message of a SEQPACKET socket, of at most `bytes_max`; nothing where none waits.
Result<std::optional<Message>> ReceiveMessage(const Fd& socket, std::size_t bytes_max);

void SetNonBlocking(const Fd& fd);

}  // namespace onebox::os
