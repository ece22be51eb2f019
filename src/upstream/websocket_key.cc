#include "upstream/websocket_key.h"

#include <array>
#include <cstdint>
#include <span>

#include <openssl/evp.h>

#include "base/check.h"
#include "os/random.h"

namespace onebox::upstream {
namespace {

constexpr std::string_view kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3
constexpr std::size_t kSha1Bytes = 20;

std::string InBase64(std::span<const std::uint8_t> bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // with a NUL, which is written too
  const int size = EVP_EncodeBlock(
      reinterpret_cast<std::uint8_t*>(out.data()), bytes.data(), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

std::string NewWebSocketKey() {
  const std::array<std::uint64_t, 2> random = {os::Random64(), os::Random64()};
  return InBase64({reinterpret_cast<const std::uint8_t*>(random.data()), sizeof random});
}

std::string WebSocketAcceptFor(std::string_view key) {
  const std::string text = std::string(key).append(kMagic);
  std::array<std::uint8_t, kSha1Bytes> digest{};
  CHECK(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1);
  return InBase64(digest);
}

}  // namespace onebox::upstream
