#include "front/client_table.h"

#include <bit>

#include "base/check.h"

namespace onebox::front {

ClientKey ClientKey::Of(const std::optional<http::Address>& address) {
  if (!address) return {};
  ClientKey key{.kind = address->IsV4() ? Kind::kV4 : Kind::kV6};
  const std::size_t bytes = address->IsV4() ? 4 : 8;
  for (std::size_t i = 0; i < bytes; ++i) {
    key.bits = key.bits << 8 | address->data()[i];
  }
  return key;
}

ClientTable::ClientTable(std::uint32_t clients_max, std::uint64_t seed)
    : clients_(clients_max), buckets_(std::bit_ceil(std::size_t{clients_max} + 1)), seed_(seed) {
  for (Client& client : clients_) {
    client.next = free_;
    free_ = &client;
  }
}

// splitmix64's mixing.
Client*& ClientTable::BucketOf(const ClientKey& key) {
  std::uint64_t mixed = key.bits ^ seed_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31;
  return buckets_[mixed & (buckets_.size() - 1)];
}

Client* ClientTable::Find(const ClientKey& key) {
  Client*& bucket = BucketOf(key);
  for (Client* client = bucket; client != nullptr; client = client->next) {
    if (client->key == key) return client;
  }
  if (free_ == nullptr) return nullptr;
  Client* const client = free_;
  free_ = client->next;
  *client = {.key = key, .next = bucket};
  bucket = client;
  return client;
}

void ClientTable::Release(Client& client) {
  if (client.waiting > 0 || client.running > 0) return;
  CHECK(client.lines == nullptr);
  Client** link = &BucketOf(client.key);
  while (*link != &client) {
    link = &(*link)->next;
  }
  *link = client.next;
  client.next = free_;
  free_ = &client;
}

}  // namespace onebox::front
