#pragma once
// The client addresses that have requests waiting or running, with how many.

#include <cstdint>
#include <optional>
#include <vector>

#include "http/address.h"

namespace onebox::front {

// Who is counted as one client: an IPv4 address, or the /64 of an IPv6 one, which is what a
// household or a rented machine is given.
struct ClientKey {
  enum class Kind : std::uint8_t { kNobody, kV4, kV6 } kind = Kind::kNobody;
  std::uint64_t bits = 0;

  static ClientKey Of(const std::optional<http::Address>& address);
  bool operator==(const ClientKey&) const = default;
};

class Line;

// One client; in the table for as long as it has a request.
struct Client {
  ClientKey key;
  std::uint32_t waiting = 0;
  std::uint32_t running = 0;
  Line* lines = nullptr;   // of its requests that wait: one for each route
  Client* next = nullptr;  // of the same bucket, or free
};

// A fixed number of clients, so that no flood of addresses takes memory.
class ClientTable {
 public:
  // The seed keeps others from choosing addresses that meet in one bucket.
  ClientTable(std::uint32_t clients_max, std::uint64_t seed);
  ClientTable(const ClientTable&) = delete;
  ClientTable& operator=(const ClientTable&) = delete;

  // The client, put in if need be; null where the table is full.
  Client* Find(const ClientKey& key);
  // Takes it out if it has no request.
  void Release(Client& client);

 private:
  Client*& BucketOf(const ClientKey& key);

  std::vector<Client> clients_;
  std::vector<Client*> buckets_;  // a power of two
  Client* free_ = nullptr;
  const std::uint64_t seed_;
};

}  // namespace onebox::front
