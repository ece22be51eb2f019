#include "acme/jws.h"

#include <utility>

#include <fmt/format.h>

#include "acme/base64url.h"

namespace onebox::acme {

using nlohmann::json;

namespace {

// What an operator has written need not be UTF-8.
std::string Written(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

json PublicJwk(const Key& key) {
  const Key::Point point = key.point();
  return {
      {"crv", "P-256"}, {"kty", "EC"}, {"x", ToBase64Url(point.x)}, {"y", ToBase64Url(point.y)}};
}

// nlohmann's objects are ordered by their keys and written without spaces, as RFC 7638 wants it.
std::string Thumbprint(const Key& key) {
  return ToBase64Url(Sha256(PublicJwk(key).dump()));
}

std::string Signed(json head, std::string_view payload, const Key& key) {
  head["alg"] = "ES256";
  const std::string protected_head = ToBase64Url(Written(head));
  const std::string encoded = ToBase64Url(payload);
  return json{{"protected", protected_head},
              {"payload", encoded},
              {"signature", ToBase64Url(key.Sign(fmt::format("{}.{}", protected_head, encoded)))}}
      .dump();
}

json SignedBinding(const Binding& binding, const Key& key) {
  const std::string head =
      ToBase64Url(Written({{"alg", "HS256"}, {"kid", binding.kid}, {"url", binding.url}}));
  const std::string payload = ToBase64Url(PublicJwk(key).dump());
  const std::string mac = HmacSha256(binding.mac_key, fmt::format("{}.{}", head, payload));
  return {{"protected", head}, {"payload", payload}, {"signature", ToBase64Url(mac)}};
}

}  // namespace onebox::acme
