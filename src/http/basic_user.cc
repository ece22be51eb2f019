#include "http/basic_user.h"

#include <cstdint>
#include <optional>

#include "base/ascii.h"

namespace onebox::http {
namespace {

constexpr std::string_view kScheme = "Basic ";

std::optional<std::uint32_t> Base64Digit(char c) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t digit = kDigits.find(c);
  if (digit == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint32_t>(digit);
}

}  // namespace

std::string BasicUser(std::string_view authorization) {
  if (!EqualsIgnoreCase(authorization.substr(0, kScheme.size()), kScheme)) return {};
  std::string user;
  std::uint32_t bits = 0;
  unsigned count = 0;  // of the lowest bits that are no byte yet
  for (const char c : Trimmed(authorization.substr(kScheme.size()))) {
    const auto digit = Base64Digit(c);
    if (!digit) return {};
    bits = (bits << 6U | *digit) & 0xFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    const char byte = static_cast<char>(bits >> count & 0xFFU);
    if (byte == ':') return user;  // the password is never decoded
    user += byte;
  }
  return {};
}

}  // namespace onebox::http
