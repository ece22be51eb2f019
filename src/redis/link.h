#pragma once
// Link: a process' way to one Redis.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/socket.h"
#include "redis/address.h"
#include "redis/connection.h"
#include "redis/health.h"

namespace onebox::redis {

// A few connections that the threads of a process share. A call takes at most `timeout`, whatever the server
// does: waiting for a connection, opening one, sending, and reading the answer.
//
//   connecting -> up        the server has answered
//   up -> down              failures_max calls in a row had no answer, or none of its connections is open
//                           and no other can be opened
//   connecting, down -> up  a probe was answered; its thread tries, with pauses
//
// While it is not up a call fails at once, so a server that is gone costs nothing, and a slow one at most
// failures_max timeouts in each thread.
//
// It has a thread, so it is made after the last fork; its end waits for what that thread is at: at most
// `timeout`, or a resolver that does not answer. REQUIRES, at its end: nobody is in a call.
// The clock outlives it.
class Link final {
 public:
  struct Options {
    Address address;
    Connection::Options connection = {};
    Duration timeout = std::chrono::milliseconds(250);
    std::size_t connections_max = 8;
    unsigned failures_max = 3;
    Backoff::Options pause = {};
  };

  Link(Options options, const Clock& clock);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Until it is up or down, at most for the timeout.
  void AwaitFirst();

  // From any thread. An answer of kind kError is an answer. An Error: there was none in time, or the link
  // is not up (EHOSTDOWN); what was sent may have been done, and where the Error says Retry::kYes, nothing
  // was sent.
  Result<Reply> Call(const Commands& command);
  Result<std::vector<Reply>> CallAll(const Commands& commands);

  struct Counters {
    std::uint64_t commands = 0;   // that were answered
    std::uint64_t errors = 0;     // of them, those whose answer is one
    std::uint64_t failures = 0;   // calls without an answer
    std::uint64_t timeouts = 0;   // of them, those for which the server took too long
    std::uint64_t refused = 0;    // of them, those that came while the link was not up
    std::uint64_t exhausted = 0;  // of them, those for which no connection became free in time
    std::uint64_t connects = 0;   // connections that were opened
    std::uint64_t losses = 0;     // times it went down
  };
  struct Look {
    State state = State::kConnecting;
    std::string last_error;  // empty: there was none
    Counters counters;
    std::size_t connections = 0;
  };
  Look look() const;

 private:
  // A connection of the link while a call has it.
  struct Held {
    Connection connection;
    std::uint64_t generation = 0;
  };

  template <typename Answer>
  Result<Answer> Ask(Result<Answer> (Connection::*call)(const Commands&, Time),
                     const Commands& commands);
  Result<Held> Take(Time deadline);
  Result<Held> Open(const os::SocketAddress& place, std::uint64_t generation, Time deadline);
  void GiveBack(Held held, std::size_t answers, std::size_t errors);
  void Fail(const Error& error, std::uint64_t generation);  // with mutex_
  void GoDown(const Error& error);                          // with mutex_
  Error Refuse();                                           // with mutex_
  void Drop();  // a connection that was counted, with mutex_

  void Run();

  const Options options_;
  const Clock& clock_;

  mutable std::mutex mutex_;        // guards all below
  std::condition_variable free_;    // callers wait here for a connection
  std::condition_variable change_;  // the thread waits here
  bool ending_ = false;
  Look look_;
  std::optional<os::SocketAddress> place_;  // where the probe found it
  std::uint64_t generation_ = 0;  // raised by going down: what is older is not used any more
  unsigned failures_in_row_ = 0;
  bool answered_ = false;         // a call, since it went up
  std::vector<Connection> idle_;  // the last one that was used is the next
  std::size_t open_ = 0;          // idle, held, and being opened, of this generation

  std::thread thread_;
};

}  // namespace onebox::redis
