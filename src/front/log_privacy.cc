#include "front/log_privacy.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace onebox::front {
namespace {

template <std::size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view one) {
    return EqualsIgnoreCase(one, name);
  });
}

constexpr std::array<std::string_view, 4> kSecrets = {"Cookie",
                                                      "Set-Cookie",
                                                      "Authorization",
                                                      "Proxy-Authorization"};
constexpr std::array<std::string_view, 3> kAddresses = {"Referer", "Location", "Content-Location"};
constexpr std::array<std::string_view, 4> kClients = {"X-Forwarded-For",
                                                      "Forwarded",
                                                      "X-Real-IP",
                                                      "True-Client-IP"};

}  // namespace

http::Address NetworkOf(const http::Address& address) {
  if (address.IsV4())
    return http::Address::V4({address.data()[0], address.data()[1], address.data()[2], 0});
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(address.data(), 6, bytes.begin());
  return http::Address::V6(bytes);
}

std::string_view TellableValue(const LogPrivacy& privacy,
                               std::string_view name,
                               std::string_view value) {
  if (privacy.cookies && Contains(kSecrets, name)) return {};
  if (privacy.address && Contains(kClients, name)) return {};
  if (privacy.query && Contains(kAddresses, name)) return WithoutQuery(value);
  return value;
}

}  // namespace onebox::front
