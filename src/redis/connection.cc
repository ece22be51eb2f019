#include "redis/connection.h"

#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "os/stream_socket.h"
#include "os/wait.h"

namespace onebox::redis {
namespace {

void AppendSize(char mark, std::size_t size, std::string& bytes) {
  std::array<char, 24> text{mark};
  char* const end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, size).ptr;
  end[0] = '\r';
  end[1] = '\n';
  bytes.append(text.data(), end + 2);
}

Error Closed() {
  return {Blame::kSystem, Retry::kIfIdempotent, ECONNRESET, "it closed the connection"};
}

Error TimedOut(std::string_view doing) {
  return {
      Blame::kSystem, Retry::kIfIdempotent, ETIMEDOUT, fmt::format("it did not {} in time", doing)};
}

}  // namespace

void Commands::Add(std::span<const std::string_view> words) {
  CHECK(!words.empty());
  AppendSize('*', words.size(), bytes_);
  for (const std::string_view word : words) {
    AppendSize('$', word.size(), bytes_);
    bytes_ += word;
    bytes_ += "\r\n";
  }
  ++count_;
}

bool IsTimeout(const Error& error) {
  return error.system_error == ETIMEDOUT;
}

Error RefusalOf(const Reply& reply) {
  CHECK(reply.is(Reply::Kind::kError));
  return {Blame::kSystem, Retry::kNever, 0, fmt::format("Redis: {}", reply.text)};
}

Result<std::vector<os::SocketAddress>> Locate(const Address& address) {
  if (!address.is_unix()) return os::Resolve(address.host, address.port);
  return std::vector{TRY(os::SocketAddress::Parse("unix:" + address.path))};
}

Result<Connection> Connection::Open(const Address& address,
                                    const os::SocketAddress& socket,
                                    const Options& options,
                                    const Clock& clock,
                                    Time deadline) {
  os::Fd connected = TRY(os::ConnectWithin(socket, deadline - clock.Now()));
  Connection connection(std::move(connected), socket, address.text(), options, clock);
  TRY(connection.Greet(address, options, deadline));
  return connection;
}

Result<Connection> Connection::OpenAny(const Address& address,
                                       const Options& options,
                                       const Clock& clock,
                                       Duration timeout) {
  const auto places = TRY(Locate(address));
  CHECK(!places.empty());
  for (std::size_t i = 0;; ++i) {
    auto opened = Open(address, places[i], options, clock, clock.Now() + timeout);
    if (opened.ok() || i + 1 == places.size()) return opened;
  }
}

Status Connection::Greet(const Address& address, const Options& options, Time deadline) {
  Commands greeting;
  if (!address.user.empty()) {
    greeting.Add({"AUTH", address.user, address.password});
  } else if (!address.password.empty()) {
    greeting.Add({"AUTH", address.password});
  }
  const std::string database = std::to_string(address.database);
  if (address.database != 0) greeting.Add({"SELECT", database});
  const std::size_t needed = greeting.count();
  greeting.Add({"CLIENT", "SETNAME", options.name});  // a user may not be allowed it
  greeting.Add({"PING"});
  TRY(Send(greeting, deadline));
  std::optional<Error> first, refusal;
  for (std::size_t i = 0; i < greeting.count(); ++i) {
    const auto reply = Receive(deadline);
    // A server that has no room for us says so, and closes.
    if (!reply.ok()) return first ? *first : reply.error();
    if (!reply.value().is(Reply::Kind::kError)) continue;
    Error error = RefusalOf(reply.value());
    if (i < needed) error.blame = Blame::kOperator;
    if (!first) first = error;
    if (i != needed && !refusal) refusal = error;
  }
  if (refusal) return Close(*std::move(refusal));
  return ExpectNoMore();
}

bool Connection::Quiet() const {
  return open() && reader_.empty() && !os::WaitReadable(socket_, Duration::zero());
}

Result<Reply> Connection::Call(const Commands& command, Time deadline) {
  CHECK(command.count() == 1);
  TRY(Send(command, deadline));
  Reply reply = TRY(Receive(deadline));
  TRY(ExpectNoMore());
  return reply;
}

Result<std::vector<Reply>> Connection::CallAll(const Commands& commands, Time deadline) {
  TRY(Send(commands, deadline));
  std::vector<Reply> replies;
  replies.reserve(commands.count());
  for (std::size_t i = 0; i < commands.count(); ++i)
    replies.push_back(TRY(Receive(deadline)));
  TRY(ExpectNoMore());
  return replies;
}

// Answers are read when all is sent: Redis holds them in its own memory until then. A server that waits for
// us to read is a timeout.
Status Connection::Send(const Commands& commands, Time deadline) {
  CHECK(open());
  std::string_view unsent = commands.bytes();
  while (!unsent.empty()) {
    const os::Moved moved = os::Send(socket_, {{unsent}});
    switch (moved.state) {
      case os::Moved::State::kDone:
        unsent.remove_prefix(moved.bytes);
        break;
      case os::Moved::State::kGone:
        return Close(Closed());
      case os::Moved::State::kNotNow:
        const Duration left = deadline - clock_->Now();
        if (left <= Duration::zero()) return Close(TimedOut("take a command"));
        os::WaitWritable(socket_, left);
        break;
    }
  }
  return Done();
}

// Reads once: an endless answer leaves the caller his chance to look at the time.
Result<std::optional<Reply>> Connection::TryReceive() {
  CHECK(open());
  auto next = reader_.Next();
  if (next.ok() && !next.value()) {
    std::array<char, 16 << 10> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): 16 KiB
    const os::Moved moved = os::Receive(socket_, buffer);
    if (moved.state == os::Moved::State::kNotNow) return std::optional<Reply>();
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return Close(Closed());
    reader_.Feed({buffer.data(), moved.bytes});
    next = reader_.Next();
  }
  if (!next.ok()) return Close(std::move(next).error());
  return next;
}

Result<Reply> Connection::Receive(Time deadline) {
  auto next = reader_.Next();
  while (true) {
    if (!next.ok()) return Close(std::move(next).error());
    if (next.value()) return *std::move(next).value();
    const Duration left = deadline - clock_->Now();
    if (left <= Duration::zero()) return Close(TimedOut("answer"));
    os::WaitReadable(socket_, left);
    next = TRY(TryReceive());
  }
}

// More answers than questions: then nobody knows which of them was ours.
Status Connection::ExpectNoMore() {
  if (reader_.empty()) return Done();
  return Close({Blame::kSystem, Retry::kNever, EPROTO, "it answered more than it was asked"});
}

Error Connection::Close(Error error) {
  socket_.Reset();
  error.message = fmt::format("{}: {}", name_, error.message);
  return error;
}

}  // namespace onebox::redis
