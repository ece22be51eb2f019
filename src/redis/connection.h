#pragma once
// One connection to a Redis: commands in, answers out, each within a deadline.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "os/socket.h"
#include "redis/address.h"
#include "redis/reply.h"

namespace onebox::redis {

// One command or several, as they are sent: words of any bytes.
class Commands {
 public:
  Commands() = default;
  Commands(std::initializer_list<std::string_view> words) { Add(words); }

  void Add(std::span<const std::string_view> words);
  void Add(std::initializer_list<std::string_view> words) {
    Add(std::span(words.begin(), words.size()));
  }

  std::size_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::size_t count_ = 0;
};

// Errors of a connection: ETIMEDOUT where the deadline has passed, ECONNRESET where the server closed it,
// EPROTO where it sent what is no answer, others as the system gives them.
bool IsTimeout(const Error& error);

// The Error that stands for an answer of kind kError: "Redis: OOM command not allowed ...".
Error RefusalOf(const Reply& reply);

// Where the sockets of an address are; may wait for a resolver (os::Resolve), so no call does it.
Result<std::vector<os::SocketAddress>> Locate(const Address& address);

// For one thread at a time. After any Error it is closed and stays so: an answer that comes too late
// cannot be taken for the next one's. What the Error means for the command: it may have been done.
// The clock outlives it.
class Connection final {
 public:
  struct Options {
    std::string name = "onebox";  // for CLIENT LIST; without spaces
    ReplyLimits limits = {};
  };

  // Connected, as `address.user`, in its database, and answered by the server itself: not one that is
  // loading, stopped or wants another password.
  static Result<Connection> Open(const Address& address,
                                 const os::SocketAddress& socket,
                                 const Options& options,
                                 const Clock& clock,
                                 Time deadline);
  // The first of the address's places that answers, each within `timeout`. May wait for a resolver.
  static Result<Connection> OpenAny(const Address& address,
                                    const Options& options,
                                    const Clock& clock,
                                    Duration timeout);
  Connection(Connection&&) = default;
  Connection& operator=(Connection&&) = default;

  bool open() const { return socket_.valid(); }
  // Open, with nothing to read: neither an end of file nor an answer that nobody asked for. Ask it before
  // the first command after a while.
  bool Quiet() const;

  // One answer. REQUIRES: one command.
  Result<Reply> Call(const Commands& command, Time deadline);
  // As many answers as commands, in their order; they cost one round trip.
  Result<std::vector<Reply>> CallAll(const Commands& commands, Time deadline);

  // The parts, for who is sent what he did not ask for. REQUIRES: open().
  Status Send(const Commands& commands, Time deadline);
  // What has come by now, of which it reads up to 16 KiB; nothing where that is no whole answer.
  Result<std::optional<Reply>> TryReceive();
  Result<Reply> Receive(Time deadline);
  const os::Fd& socket() const { return socket_; }
  const os::SocketAddress& place() const { return place_; }

 private:
  Connection(os::Fd socket,
             const os::SocketAddress& place,
             std::string name,
             const Options& options,
             const Clock& clock)
      : clock_(&clock),
        socket_(std::move(socket)),
        place_(place),
        name_(std::move(name)),
        reader_(options.limits) {}

  Status Greet(const Address& address, const Options& options, Time deadline);
  Error Close(Error error);
  Status ExpectNoMore();

  const Clock* clock_;
  os::Fd socket_;
  os::SocketAddress place_;
  std::string name_;  // of the server, for messages
  ReplyReader reader_;
};

}  // namespace onebox::redis
