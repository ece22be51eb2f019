#include "upstream/upstream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "os/file.h"

namespace onebox::upstream {
namespace {

constexpr std::string_view kSystemCa =
    "/etc/ssl/certs/ca-certificates.crt";  // Debian's and others'
constexpr std::size_t kCaBytesMax = 4 << 20;

}  // namespace

Server::Server(const ServerAddress& address, const Settings& settings, std::size_t number)
    : address_(address),
      name_(address.text()),
      authority_(address.authority()),
      number_(number),
      seed_(SeedOf(name_)),
      health_(settings.passive) {}

void Server::SetAddresses(std::vector<os::SocketAddress> addresses) {
  const std::lock_guard lock(mutex_);
  addresses_ = std::move(addresses);
}

std::optional<os::SocketAddress> Server::NextAddress() {
  const std::lock_guard lock(mutex_);
  if (addresses_.empty()) return std::nullopt;
  return addresses_[turn_.load(std::memory_order_relaxed) % addresses_.size()];
}

void Server::CountAnswer(Duration to_head) {
  Raise(answers_);
  Raise(waited_, static_cast<std::uint64_t>(to_head.count()));
}

void Server::CountFailure(Failure failure) {
  Raise(failures_[static_cast<std::size_t>(failure)]);
}

Server::Seen Server::seen() const {
  const auto of = [](const Cell& cell) { return cell.load(std::memory_order_relaxed); };
  Seen seen{.answers = of(answers_),
            .pauses = of(pauses_),
            .connected = of(connected_),
            .reused = of(reused_),
            .waited = Duration(static_cast<Duration::rep>(of(waited_)))};
  for (std::size_t i = 0; i < kFailureKinds; ++i)
    seen.failures[i] = of(failures_[i]);
  return seen;
}

Upstream::Upstream(Settings settings) : settings_(std::move(settings)) {
  CHECK(!settings_.servers.empty() && settings_.servers.size() <= kServersMax);
  std::vector<std::uint32_t> weights;
  for (const ServerAddress& address : settings_.servers) {
    servers_.push_back(std::make_unique<Server>(address, settings_, servers_.size()));
    weights.push_back(address.weight);
  }
  if (settings_.balance == Balance::kRoundRobin) turns_ = Turns(weights);
}

Status Upstream::PrepareTls() {
  const bool secure = std::any_of(servers_.begin(), servers_.end(), [](const auto& server) {
    return server->address().secure;
  });
  if (!secure) return Done();
  tls::ClientSettings settings;
  if (settings_.tls.verify) {
    settings.ca_pem = TRY(os::ReadFile(
        settings_.tls.ca.empty() ? std::string(kSystemCa) : settings_.tls.ca, kCaBytesMax));
  } else {
    settings.verify = tls::Verify::kNothing;
  }
  tls_ = TRY(tls::ClientContext::Make(settings));
  return Done();
}

Server* Upstream::Choose(const Wish& wish) {
  Server* const server = ChooseAmong(false, wish);
  return server != nullptr ? server : ChooseAmong(true, wish);
}

Server* Upstream::ChooseAmong(bool backup, const Wish& wish) {
  std::array<Candidate, kServersMax> found;
  std::size_t count = 0;
  std::uint64_t usable = 0;
  for (const auto& server : servers_) {
    const std::uint64_t bit = std::uint64_t{1} << server->number();
    if (server->address().backup != backup || (wish.tried & bit) != 0) continue;
    if (!server->health().UsableAt(wish.now)) continue;
    usable |= bit;
    found[count++] = {.server = server->number(),
                      .weight = server->address().weight * server->health().ShareAt(wish.now),
                      .outstanding = server->outstanding(),
                      .seed = server->seed()};
  }
  const std::span<const Candidate> candidates(found.data(), count);
  if (candidates.empty()) return nullptr;
  if (settings_.balance == Balance::kLeast) {
    return servers_[candidates[ChooseLeast(candidates, wish.random)].server].get();
  }
  if (settings_.balance == Balance::kHash) {
    return servers_[candidates[ChooseByHash(candidates, wish.key)].server].get();
  }
  // Whose turn it is; one that cannot be asked, or starts slowly, lets it pass to the next.
  std::uint64_t chance = wish.random;
  for (std::size_t tries = 0; tries < turns_.size(); ++tries) {
    const std::uint64_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
    Server& server = *servers_[turns_[turn % turns_.size()]];
    if ((usable >> server.number() & 1) == 0) continue;
    const std::uint32_t share = server.health().ShareAt(wish.now);
    const bool its_turn = count == 1 || chance % 1000 < share;
    chance /= 1000;
    if (its_turn) return &server;
  }
  return servers_[candidates.front().server].get();
}

bool Upstream::Failed(Server& server, Failure failure, Time now, std::uint64_t random) {
  server.CountFailure(failure);
  if (!server.health().Failed(now)) return false;
  const bool another = std::any_of(servers_.begin(), servers_.end(), [&](const auto& other) {
    return other.get() != &server && other->health().UsableAt(now);
  });
  if (!another) return false;
  server.health().Pause(now, random);
  server.CountPause();
  return true;
}

Upstream::Seen Upstream::seen() const {
  return {.no_server = no_server_.load(std::memory_order_relaxed),
          .retried = retried_.load(std::memory_order_relaxed),
          .tunnels_begun = tunnels_begun_.load(std::memory_order_relaxed),
          .tunnels = tunnels_.load(std::memory_order_relaxed)};
}

std::uint32_t Upstream::RetryAfter(Time now) const {
  constexpr Duration kLongest = seconds(60);
  Duration shortest = kLongest;
  for (const auto& server : servers_) {
    const Duration wait = server->health().StateAt(now) == ServerState::kDown
                              ? settings_.probe.interval
                              : server->health().paused_until() - now;
    shortest = std::min(shortest, wait);
  }
  const auto whole = std::chrono::ceil<seconds>(shortest).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(whole, 1, 60));
}

}  // namespace onebox::upstream
