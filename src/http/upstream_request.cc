#include "http/upstream_request.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/list.h"
#include "http/response_head.h"

namespace onebox::http {
namespace {

constexpr std::string_view kWebSocketKey = "Sec-WebSocket-Key";

// What is written anew, from what holds here.
bool IsOurs(KnownField field) {
  switch (field) {
    case KnownField::kHost:
    case KnownField::kContentLength:
    case KnownField::kExpect:  // we have the body, and nothing is to be asked
    case KnownField::kForwarded:
    case KnownField::kXForwardedFor:
    case KnownField::kXForwardedHost:
    case KnownField::kXForwardedPort:
    case KnownField::kXForwardedProto:
    case KnownField::kXRealIp:
    case KnownField::kXRequestId:
      return true;
    default:
      return false;
  }
}

// In quotes where it is no token: RFC 7239 4.
void AppendForwardedValue(std::string& out, std::string_view value) {
  const bool token = std::all_of(value.begin(), value.end(), [](char c) {
    return IsAlpha(c) || IsDigit(c) || c == '.' || c == '-' || c == '_';
  });
  if (token && !value.empty()) {
    out.append(value);
  } else {
    out.append("\"").append(value).append("\"");  // hosts and addresses hold no quotes
  }
}

// What a trusted peer said of the hops before it, and the peer itself.
void AppendForwardedFor(std::string& out, const RequestHead& head, const Hop& hop) {
  const bool kept = hop.trusted && head.Has(KnownField::kXForwardedFor);
  if (!kept && !hop.peer) return;
  out += "X-Forwarded-For: ";
  std::string_view comma;
  if (kept) {
    ForEachElement(head, KnownField::kXForwardedFor, [&](std::string_view element) {
      out.append(comma).append(element);
      comma = ", ";
    });
  }
  if (hop.peer) out.append(comma).append(FormatAddress(*hop.peer));
  out += "\r\n";
}

void AppendForwarded(std::string& out, const RequestHead& head, const Hop& hop) {
  out += "Forwarded: ";
  if (hop.trusted) {  // value by value: within quotes a comma ends no element
    for (const Field& field : head.fields()) {
      if (field.known != KnownField::kForwarded || field.value.empty()) continue;
      out.append(field.value).append(", ");
    }
  }
  out += "for=";
  if (!hop.peer) {
    out += "unknown";
  } else if (hop.peer->IsV4()) {
    out += FormatAddress(*hop.peer);
  } else {
    out.append("\"[").append(FormatAddress(*hop.peer)).append("]\"");
  }
  if (!hop.host.empty()) {
    out += ";host=";
    AppendForwardedValue(out, hop.host);
  }
  out.append(";proto=").append(hop.scheme).append("\r\n");
}

void AppendWay(std::string& out, const RequestHead& head, const Hop& hop) {
  AppendForwardedFor(out, head, hop);
  if (hop.client) AppendField(out, "X-Real-IP", FormatAddress(*hop.client));
  AppendField(out, "X-Forwarded-Proto", hop.scheme);
  if (!hop.host.empty()) AppendField(out, "X-Forwarded-Host", hop.host);
  if (hop.trusted && head.Has(KnownField::kXForwardedPort)) {
    AppendField(out, "X-Forwarded-Port", head.Value(KnownField::kXForwardedPort));
  } else if (hop.port != 0) {
    AppendField(out, "X-Forwarded-Port", std::uint64_t{hop.port});
  }
  AppendForwarded(out, head, hop);
}

}  // namespace

bool IsHopByHop(const Field& field) {
  switch (field.known) {
    case KnownField::kConnection:
    case KnownField::kKeepAlive:
    case KnownField::kTe:
    case KnownField::kTrailer:
    case KnownField::kTransferEncoding:
    case KnownField::kUpgrade:
      return true;
    case KnownField::kOther:
      return EqualsIgnoreCase(field.name, "Proxy-Connection") ||
             EqualsIgnoreCase(field.name, "Proxy-Authorization") ||
             EqualsIgnoreCase(field.name, "Proxy-Authenticate") ||
             EqualsIgnoreCase(field.name, "HTTP2-Settings");
    default:
      return false;
  }
}

bool ConnectionNames(const FieldTable& head, std::string_view name) {
  bool named = false;
  ForEachElement(head, KnownField::kConnection, [&](std::string_view option) {
    named |= EqualsIgnoreCase(option, name);
  });
  return named;
}

bool ConnectionNamesFields(const FieldTable& head) {
  bool names = false;
  ForEachElement(head, KnownField::kConnection, [&](std::string_view option) {
    names |= !EqualsIgnoreCase(option, "close") && !EqualsIgnoreCase(option, "keep-alive") &&
             !EqualsIgnoreCase(option, "upgrade");
  });
  return names;
}

bool MisleadsCgi(std::string_view name) {
  return name.find('_') != std::string_view::npos || EqualsIgnoreCase(name, "Proxy");
}

bool AsksForUpgrade(const RequestHead& head) {
  return head.minor_version == 1 && head.framing == Framing::kNone &&
         head.Has(KnownField::kUpgrade) && !head.Repeated(KnownField::kUpgrade) &&
         ConnectionNames(head, "upgrade");
}

void AppendUpstreamRequest(std::string& out, const UpstreamRequest& request) {
  const RequestHead& head = request.head;
  out.append(head.method_name).append(" ").append(head.path);
  if (head.has_query) out.append("?").append(head.query);
  out.append(" HTTP/1.1\r\n");
  AppendField(out, "Host", request.host.empty() ? head.host : request.host);
  if (request.upgrade) {
    AppendField(out, "Connection", "Upgrade");
    AppendField(out, "Upgrade", head.Value(KnownField::kUpgrade));
  } else if (request.close) {
    AppendField(out, "Connection", "close");
  }
  const bool names_others = ConnectionNamesFields(head);
  for (const Field& field : head.fields()) {
    if (IsOurs(field.known) || IsHopByHop(field)) continue;
    if (field.known == KnownField::kXForwardedPrefix && !request.hop.trusted) continue;
    if (field.known == KnownField::kOther && MisleadsCgi(field.name)) continue;
    if (names_others && ConnectionNames(head, field.name)) continue;
    const bool has_key = !request.websocket_key.empty();
    if (has_key && EqualsIgnoreCase(field.name, kWebSocketKey)) continue;
    AppendField(out, field.name, field.value);
  }
  if (!request.websocket_key.empty()) AppendField(out, kWebSocketKey, request.websocket_key);
  AppendWay(out, head, request.hop);
  out.append("Via: ").append(request.hop.protocol).append(" onebox\r\n");
  AppendField(out, "X-Request-ID", request.id);
  if (request.content_length) AppendField(out, "Content-Length", *request.content_length);
  out.append("\r\n");
}

}  // namespace onebox::http
