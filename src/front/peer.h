#pragma once
// Who is at the other end of a connection, and by which door he came.

#include <cstdint>
#include <optional>
#include <string>

#include "http/address.h"
#include "os/socket.h"

namespace onebox::front {

enum class Service : std::uint8_t { kApp, kAdmin, kPurge };

// What a connection came in by; outlives it.
struct Endpoint {
  std::string name;  // SERVER_NAME: the address that is listened on
  std::uint16_t port = 0;
  Service service = Service::kApp;  // what its connections are for
  bool secure = false;              // they begin with the handshake of TLS
};

// Nothing for a unix socket.
std::optional<http::Address> AddressOf(const os::SocketAddress& peer);

struct Peer {
  Peer(const os::SocketAddress& socket, const Endpoint& came_by)
      : endpoint(&came_by), address(AddressOf(socket)), port(socket.port()) {}

  bool unix_socket() const { return !address.has_value(); }

  const Endpoint* endpoint;  // never null
  std::optional<http::Address> address;
  std::uint16_t port;  // 0 for a unix socket
};

}  // namespace onebox::front
