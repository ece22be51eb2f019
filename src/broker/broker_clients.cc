// Who is connected to the broker's socket.
#include <algorithm>
#include <utility>

#include "broker/broker.h"
#include "broker/words.h"
#include "os/socket.h"

namespace onebox::broker {
namespace {

constexpr std::size_t kClientsMax = 4096;

}  // namespace

// Whoever may write to the socket's file; the folder is closed to others than the app and root.
void Broker::Accept() {
  for (;;) {
    auto accepted = os::Accept(handover_.socket);
    if (!accepted.ok() || !accepted.value()) return;
    if (clients_.size() >= kClientsMax) continue;  // closed: who asks finds out at once
    const std::uint64_t name = ++last_client_;
    auto client =
        std::make_unique<Client>(std::move(accepted.value()->socket), *reactor_, client_owner_);
    if (!client->Watch().ok()) continue;
    client_names_[client.get()] = name;
    clients_[name] = std::move(client);
  }
}

Client* Broker::FindClient(std::uint64_t name) {
  const auto found = clients_.find(name);
  return found == clients_.end() ? nullptr : found->second.get();
}

void Broker::Take(Client& client, json body) {
  inbox_.push_back({.client = client_names_.at(&client), .body = std::move(body)});
}

void Broker::Forget(Client& client) {
  closed_clients_.push_back(client_names_.at(&client));
  const auto worker = workers_.find(client.worker);
  if (worker != workers_.end() && worker->second.client == &client) worker->second.client = nullptr;
}

void Broker::BuryClients() {
  for (const std::uint64_t name : std::exchange(closed_clients_, {})) {
    const auto found = clients_.find(name);
    client_names_.erase(found->second.get());
    clients_.erase(found);
  }
}

}  // namespace onebox::broker
