#include "upstream/client.h"

#include <algorithm>
#include <utility>

#include "os/random.h"

namespace onebox::upstream {
namespace {

constexpr Duration kSweepTime = seconds(1);

}  // namespace

Client::Client(event::Reactor& reactor, std::span<char> read_buffer)
    : reactor_(reactor),
      read_buffer_(read_buffer),
      head_(std::make_unique<http::ResponseHead>()),
      random_(os::Random64() | 1) {}

// xorshift64*: whom it picks is no secret.
std::uint64_t Client::Random() {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545F4914F6CDD1DU;
}

std::span<char> Client::tls_scratch() {
  if (tls_scratch_.empty()) tls_scratch_.resize(Connection::kScratchBytes);
  return tls_scratch_;
}

std::unique_ptr<Connection> Client::Take(const Server& server, Time since) {
  const auto found = pools_.find(&server);
  if (found == pools_.end()) return nullptr;
  auto& idle = found->second.idle;
  while (!idle.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle.back());
    idle.pop_back();
    const bool usable = connection->state() == Connection::State::kOpen && !connection->readable();
    if (!usable) continue;
    if (connection->idle_since < since) {
      idle.push_back(std::move(connection));
      return nullptr;
    }
    return connection;
  }
  return nullptr;
}

void Client::Keep(const Upstream& upstream,
                  const Server& server,
                  std::unique_ptr<Connection> connection) {
  if (connection->readable()) return;  // bytes that nobody asked for, or its end
  Pool& pool = pools_[&server];
  pool.timeout = upstream.settings().keepalive_timeout;
  if (pool.idle.size() >= upstream.settings().keepalive) return;
  connection->idle_since = reactor_.now();
  connection->UseBy(this);
  pool.idle.push_back(std::move(connection));
  if (!sweep_.armed()) reactor_.timers().Arm(sweep_, reactor_.now() + kSweepTime);
}

std::size_t Client::idle() const {
  std::size_t count = 0;
  for (const auto& [server, pool] : pools_)
    count += pool.idle.size();
  return count;
}

// It is one of the idle, and must not go while it tells us.
void Client::OnReady() {
  reactor_.timers().Arm(sweep_, reactor_.now());
}

void Client::OnTimer() {
  bool any = false;
  for (auto& [server, pool] : pools_) {
    std::erase_if(pool.idle, [this, timeout = pool.timeout](const auto& connection) {
      return connection->readable() || connection->state() != Connection::State::kOpen ||
             reactor_.now() - connection->idle_since >= timeout;
    });
    any = any || !pool.idle.empty();
  }
  if (any) reactor_.timers().Arm(sweep_, reactor_.now() + kSweepTime);
}

}  // namespace onebox::upstream
