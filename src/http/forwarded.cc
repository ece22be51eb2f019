#include "http/forwarded.h"

#include <algorithm>
#include <utility>

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

struct Hop {
  Address address;
  std::uint16_t port = 0;
};

// "10.0.0.1", "::1", and with a port "10.0.0.1:80", "[::1]:80".
std::optional<Hop> ParseHop(std::string_view text) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == text.npos || !IsValidHost(text)) return std::nullopt;
    host = text.substr(1, bracket - 1);
    if (bracket + 1 < text.size()) port = text.substr(bracket + 2);
  } else if (const std::size_t colon = text.find(':');
             colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (!ParseDecimal(port, 65535)) return std::nullopt;
  }
  const auto address = ParseAddress(host);
  if (!address) return std::nullopt;
  return Hop{*address, static_cast<std::uint16_t>(ParseDecimal(port, 65535).value_or(0))};
}

// Calls visit(element) from the last element of the last such field to the first, until it says no.
template <typename Take, typename Visit>
void ForEachFromRight(const RequestHead& head, KnownField name, Take take_last, Visit visit) {
  if (!head.Has(name)) return;
  const auto fields = head.fields();
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    if (field->known != name) continue;
    std::string_view list = field->value;
    while (const auto element = take_last(list)) {
      if (!visit(*element)) return;
    }
  }
}

std::string_view Rightmost(const RequestHead& head, KnownField name) {
  std::string_view rightmost;
  ForEachFromRight(head, name, TakeLastElement, [&](std::string_view element) {
    rightmost = element;
    return false;
  });
  return rightmost;
}

// Whether the one that it names may speak of those before it.
bool TakeHop(const std::optional<Hop>& hop, const TrustedProxies& trusted, Origin& origin) {
  if (!hop) return false;
  origin.client = hop->address;
  origin.client_port = hop->port;
  return IsTrusted(hop->address, trusted);
}

std::string_view SchemeOf(std::string_view text) {
  for (const std::string_view scheme : {"https", "http"}) {
    if (EqualsIgnoreCase(text, scheme)) return scheme;
  }
  return {};
}

// --- RFC 7239

// What one element of Forwarded says; empty where it does not.
struct ForwardedElement {
  std::string_view by_whom;  // for=
  std::string_view scheme;   // proto=
  std::string_view host;
};

// Takes what stands behind the last `mark` that is not in quotes, and the mark; all of `text` where
// there is none. From the right, so that a quote which a client has opened and not closed hides
// nothing that a proxy has added behind it.
std::string_view TakeLastUnquoted(std::string_view& text, char mark) {
  bool quoted = false;
  std::size_t begin = text.size();
  for (; begin > 0 && (quoted || text[begin - 1] != mark); --begin) {
    if (text[begin - 1] == '"') quoted = !quoted;
  }
  const std::string_view taken = text.substr(begin);
  text = text.substr(0, begin == 0 ? 0 : begin - 1);
  return Trimmed(taken);
}

// The next element of Forwarded from the right; empty ones are skipped.
std::optional<std::string_view> TakeLastElementUnquoted(std::string_view& list) {
  while (!list.empty()) {
    const std::string_view element = TakeLastUnquoted(list, ',');
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

// Without its quotes. What needs a backslash is no address, scheme or host, and so is nothing.
std::string_view Unquoted(std::string_view value) {
  if (value.find('\\') != value.npos) return {};
  const bool quoted = value.size() >= 2 && value.starts_with('"') && value.ends_with('"');
  if (quoted) value = value.substr(1, value.size() - 2);
  return value.find('"') == value.npos ? value : std::string_view();
}

ForwardedElement ParseElement(std::string_view text) {
  ForwardedElement element;
  while (!text.empty()) {
    const std::string_view pair = TakeLastUnquoted(text, ';');
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = Unquoted(pair.substr(std::min(equals + 1, pair.size())));
    if (EqualsIgnoreCase(name, "for")) element.by_whom = value;
    if (EqualsIgnoreCase(name, "proto")) element.scheme = value;
    if (EqualsIgnoreCase(name, "host")) element.host = value;
  }
  return element;
}

void ReadForwarded(const RequestHead& head, const TrustedProxies& trusted, Origin& origin) {
  bool first = true;
  ForEachFromRight(
      head, KnownField::kForwarded, TakeLastElementUnquoted, [&](std::string_view text) {
        const ForwardedElement element = ParseElement(text);
        if (std::exchange(first, false)) {
          origin.scheme = SchemeOf(element.scheme);
          if (IsValidHost(element.host)) origin.host = element.host;
        }
        return TakeHop(ParseHop(element.by_whom), trusted, origin);
      });
}

}  // namespace

Origin FindOrigin(const RequestHead& head,
                  const std::optional<Address>& peer,
                  const TrustedProxies& trusted) {
  Origin origin;
  origin.client = peer;
  origin.from_trusted_proxy = IsTrusted(peer, trusted);
  if (!origin.from_trusted_proxy) return origin;

  if (trusted.field == ClientField::kForwarded) {
    ReadForwarded(head, trusted, origin);
    return origin;
  }
  const bool real_ip = trusted.field == ClientField::kXRealIp;
  ForEachFromRight(head,
                   real_ip ? KnownField::kXRealIp : KnownField::kXForwardedFor,
                   TakeLastElement,
                   [&](std::string_view element) {
                     return TakeHop(ParseHop(element), trusted, origin) && !real_ip;
                   });
  origin.scheme = SchemeOf(Rightmost(head, KnownField::kXForwardedProto));
  const std::string_view host = Rightmost(head, KnownField::kXForwardedHost);
  if (IsValidHost(host)) origin.host = host;
  return origin;
}

}  // namespace onebox::http
