#include "http/forwarded.h"

#include <algorithm>

#include "base/ascii.h"
#include "http/list.h"

namespace onebox::http {
namespace {

bool IsTrusted(const std::optional<Address>& hop, const TrustedProxies& trusted) {
  if (!hop) return trusted.unix_sockets;
  return std::any_of(trusted.networks.begin(), trusted.networks.end(), [&](const Network& network) {
    return network.Contains(*hop);
  });
}

// "10.0.0.1", "::1", and with a port "10.0.0.1:80", "[::1]:80".
std::optional<Address> ParseHop(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == text.npos || !IsValidHost(text)) return std::nullopt;
    return ParseAddress(text.substr(1, bracket - 1));
  }
  const std::size_t colon = text.find(':');
  const bool has_port = colon != text.npos && text.find(':', colon + 1) == text.npos;
  if (has_port && !ParseDecimal(text.substr(colon + 1), 65535)) return std::nullopt;
  return ParseAddress(has_port ? text.substr(0, colon) : text);
}

// Calls visit(element) from the last element of the last such field to the first, until it says no.
template <typename Visit>
void ForEachFromRight(const RequestHead& head, KnownField name, Visit visit) {
  if (!head.Has(name)) return;
  const auto fields = head.fields();
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    if (field->known != name) continue;
    std::string_view list = field->value;
    while (const auto element = TakeLastElement(list)) {
      if (!visit(*element)) return;
    }
  }
}

std::string_view Rightmost(const RequestHead& head, KnownField name) {
  std::string_view rightmost;
  ForEachFromRight(head, name, [&](std::string_view element) {
    rightmost = element;
    return false;
  });
  return rightmost;
}

std::string_view SchemeOf(std::string_view text) {
  for (const std::string_view scheme : {"https", "http"}) {
    if (EqualsIgnoreCase(text, scheme)) return scheme;
  }
  return {};
}

}  // namespace

Origin FindOrigin(const RequestHead& head,
                  const std::optional<Address>& peer,
                  const TrustedProxies& trusted) {
  Origin origin;
  origin.client = peer;
  origin.from_trusted_proxy = IsTrusted(peer, trusted);
  if (!origin.from_trusted_proxy) return origin;

  ForEachFromRight(head, KnownField::kXForwardedFor, [&](std::string_view element) {
    const auto hop = ParseHop(element);
    if (hop) origin.client = hop;
    return hop && IsTrusted(hop, trusted);
  });
  origin.scheme = SchemeOf(Rightmost(head, KnownField::kXForwardedProto));
  const std::string_view host = Rightmost(head, KnownField::kXForwardedHost);
  if (IsValidHost(host)) origin.host = host;
  return origin;
}

}  // namespace onebox::http
