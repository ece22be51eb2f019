#pragma once
// The servers behind one name, as all reactors know them: which is asked next, and what each has done.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "os/socket.h"
#include "tls/client_context.h"
#include "upstream/balance.h"
#include "upstream/failure.h"
#include "upstream/health.h"
#include "upstream/retry_budget.h"
#include "upstream/settings.h"

namespace onebox::upstream {

// One server. Every number may be read and raised by any thread.
class Server {
 public:
  Server(const ServerAddress& address, const Settings& settings, std::size_t number);

  const ServerAddress& address() const { return address_; }
  const std::string& name() const { return name_; }            // its URL
  const std::string& authority() const { return authority_; }  // for Host
  std::size_t number() const { return number_; }               // among those of its upstream
  std::uint64_t seed() const { return seed_; }
  Health& health() { return health_; }
  const Health& health() const { return health_; }

  // The addresses of its host, to be tried one after the other; none: it has none, or nobody has looked
  // yet.
  void SetAddresses(std::vector<os::SocketAddress> addresses);
  std::optional<os::SocketAddress> NextAddress();
  // The one of NextAddress() did not answer: the next time it is another's turn.
  void TurnAddress() { turn_.fetch_add(1, std::memory_order_relaxed); }

  // --- what it does
  void Begin() { outstanding_.fetch_add(1, std::memory_order_relaxed); }
  void End() { outstanding_.fetch_sub(1, std::memory_order_relaxed); }
  std::uint32_t outstanding() const { return outstanding_.load(std::memory_order_relaxed); }
  void CountAnswer(Duration to_head);
  void CountFailure(Failure failure);
  void CountPause() { Raise(pauses_); }
  void CountConnection(bool reused) { Raise(reused ? reused_ : connected_); }

  struct Seen {
    std::uint64_t answers = 0;
    std::uint64_t pauses = 0;
    std::uint64_t connected = 0;  // connections made
    std::uint64_t reused = 0;     // requests on one that was there
    Duration waited{};            // from request to head, of all answers together
    std::array<std::uint64_t, kFailureKinds> failures{};
  };
  Seen seen() const;

 private:
  using Cell = std::atomic<std::uint64_t>;
  static void Raise(Cell& cell, std::uint64_t n = 1) {
    cell.fetch_add(n, std::memory_order_relaxed);
  }

  const ServerAddress address_;
  const std::string name_;
  const std::string authority_;
  const std::size_t number_;
  const std::uint64_t seed_;
  Health health_;
  std::atomic<std::uint32_t> outstanding_{0};
  std::atomic<std::uint32_t> turn_{0};
  Cell answers_{0}, pauses_{0}, connected_{0}, reused_{0}, waited_{0};
  std::array<Cell, kFailureKinds> failures_{};
  mutable std::mutex mutex_;
  std::vector<os::SocketAddress> addresses_;  // under it
};

class Upstream {
 public:
  explicit Upstream(Settings settings);

  const Settings& settings() const { return settings_; }
  const std::vector<std::unique_ptr<Server>>& servers() const { return servers_; }
  RetryBudget& retries() { return retries_; }
  // Reads whom servers have to be vouched for by. REQUIRED where one is https, before it is asked.
  Status PrepareTls();
  const std::shared_ptr<const tls::ClientContext>& tls_context() const { return tls_; }

  // What a choice depends on.
  struct Wish {
    Time now;
    std::uint64_t random = 0;
    std::string_view key = {};  // where settings().balance is kHash
    std::uint64_t tried = 0;    // a bit for each server that is not to be asked again
  };
  // Nothing where none can be asked. Backup servers are asked while no other can be.
  Server* Choose(const Wish& wish);

  // What a request made of a server. Of those that can be asked one stays, however often it fails.
  // Whether it is paused now.
  bool Failed(Server& server, Failure failure, Time now, std::uint64_t random);
  // In how many seconds it may be worth to ask again, where none can be asked now; at least 1.
  std::uint32_t RetryAfter(Time now) const;

  // --- what it does
  void CountNoServer() { no_server_.fetch_add(1, std::memory_order_relaxed); }
  void CountRetry() { retried_.fetch_add(1, std::memory_order_relaxed); }
  void CountTunnel(int change) {  // 1 where one begins, -1 at its end
    tunnels_.fetch_add(change, std::memory_order_relaxed);
    if (change > 0) tunnels_begun_.fetch_add(1, std::memory_order_relaxed);
  }
  struct Seen {
    std::uint64_t no_server = 0;  // requests that no server could be asked for
    std::uint64_t retried = 0;    // given to a second server, or a third
    std::uint64_t tunnels_begun = 0;
    std::int64_t tunnels = 0;  // open
  };
  Seen seen() const;

 private:
  Server* ChooseAmong(bool backup, const Wish& wish);

  const Settings settings_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::uint32_t> turns_;  // of kRoundRobin
  std::atomic<std::uint64_t> turn_{0};
  RetryBudget retries_;
  std::shared_ptr<const tls::ClientContext> tls_;
  std::atomic<std::uint64_t> no_server_{0}, retried_{0}, tunnels_begun_{0};
  std::atomic<std::int64_t> tunnels_{0};
};

}  // namespace onebox::upstream
