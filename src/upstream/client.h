#pragma once
// What one reactor has for its calls to servers: idle connections, and buffers.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "event/reactor.h"
#include "http/upstream_response.h"
#include "upstream/connection.h"
#include "upstream/upstream.h"

namespace onebox::upstream {

// Of one reactor's thread. The reactor, the buffer and the servers outlive it; it outlives its Calls.
class Client final : private Connection::User {
 public:
  // `read_buffer`: used during each turn alone, so others of this thread may use it too.
  Client(event::Reactor& reactor, std::span<char> read_buffer);

  event::Reactor& reactor() { return reactor_; }
  std::span<char> read_buffer() { return read_buffer_; }
  http::ResponseHead& head() { return *head_; }
  std::string& decoded() { return decoded_; }
  std::uint64_t Random();
  std::span<char> tls_scratch();

  // An idle one, the one used last; nothing where there is none, or none was used since `since`.
  std::unique_ptr<Connection> Take(const Server& server, Time since);
  // For the next; closed at once where there are enough.
  void Keep(const Upstream& upstream, const Server& server, std::unique_ptr<Connection> connection);

  std::size_t idle() const;

 private:
  void OnReady() override;  // of an idle one: it is not to be used again
  void OnTimer();

  struct Pool {
    std::vector<std::unique_ptr<Connection>> idle;  // the one used last is the last
    Duration timeout{};
  };

  event::Reactor& reactor_;
  const std::span<char> read_buffer_;
  std::unique_ptr<http::ResponseHead> head_;
  std::string decoded_;
  std::vector<char> tls_scratch_;  // empty until somebody needs it
  std::uint64_t random_;
  std::unordered_map<const Server*, Pool> pools_;
  event::CallTimer<&Client::OnTimer> sweep_{*this};
};

}  // namespace onebox::upstream
