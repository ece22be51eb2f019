#include "front/peer.h"

#include <algorithm>
#include <array>

namespace onebox::front {

std::optional<http::Address> AddressOf(const os::SocketAddress& peer) {
  const auto bytes = peer.ip_bytes();
  if (bytes.size() == 4) return http::Address::V4({bytes[0], bytes[1], bytes[2], bytes[3]});
  if (bytes.size() != 16) return std::nullopt;
  std::array<std::uint8_t, 16> six{};
  std::copy(bytes.begin(), bytes.end(), six.begin());
  return http::Address::V6(six);
}

}  // namespace onebox::front
