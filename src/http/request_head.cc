#include "http/request_head.h"

#include <algorithm>
#include <limits>

#include "base/ascii.h"
#include "base/check.h"
#include "http/address.h"
#include "http/byte_search.h"
#include "http/head_lines.h"
#include "http/list.h"

namespace onebox::http {
namespace {

using Refused = std::optional<RefusalKind>;
constexpr Refused kAccepted = std::nullopt;

// Walks once over the lines of a head.
class HeadParser {
 public:
  HeadParser(std::string_view bytes, const Limits& limits, RequestHead& head)
      : bytes_(bytes), limits_(limits), head_(head), lines_(bytes) {}

  Refused Parse() {
    if (bytes_.size() > limits_.head_bytes_max) return RefusalKind::kHeadTooLarge;
    for (bool first = true;; first = false) {
      if (const Refused refused = lines_.Next()) return refused;
      if (lines_.line().empty()) break;
      const Refused refused =
          first ? TakeRequestLine() : lines_.TakeField(head_, limits_.fields_max);
      if (refused) return refused;
    }
    return lines_.AtEnd() ? kAccepted : Refused(RefusalKind::kBrokenHead);
  }

 private:
  // method SP target SP version
  Refused TakeRequestLine() {
    const std::string_view line = lines_.line();
    if (line.size() > limits_.request_line_bytes_max) return RefusalKind::kTargetTooLong;
    const std::size_t method_end = lines_.EndOfToken(0);
    if (method_end == 0) return RefusalKind::kBadMethod;
    if (method_end == line.size()) return RefusalKind::kBadRequestLine;
    if (line[method_end] != ' ') return RefusalKind::kBadMethod;
    head_.method_name = line.substr(0, method_end);
    head_.method = MethodOf(head_.method_name);

    const std::size_t target_begin = method_end + 1;
    const std::size_t target_end = Find<NonTargetByte>(line, target_begin);
    head_.target = line.substr(target_begin, target_end - target_begin);
    if (target_end == line.size()) return RefusalKind::kBadRequestLine;
    if (line[target_end] != ' ') return RefusalKind::kBadTarget;
    if (head_.target.empty()) return RefusalKind::kBadRequestLine;
    return TakeVersion(line.substr(target_end + 1));
  }

  Refused TakeVersion(std::string_view version) {
    const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                             IsDigit(version[5]) && version[6] == '.' && IsDigit(version[7]);
    if (!well_formed) {
      const bool more_parts = version.find(' ') != version.npos;
      return more_parts ? RefusalKind::kBadRequestLine : RefusalKind::kBadVersion;
    }
    if (version[5] != '1') return RefusalKind::kVersionNotSupported;
    head_.minor_version = version[7] == '0' ? 0 : 1;  // a later one is served as 1.1, RFC 9110 2.5
    return kAccepted;
  }

  std::string_view bytes_;
  const Limits& limits_;
  RequestHead& head_;
  HeadLines lines_;
};

void Clear(RequestHead& head) {
  head.path = head.query = head.host = {};
  head.content_length = 0;
  head.framing = Framing::kNone;
  head.has_query = head.keep_alive = head.expect_continue = false;
  head.ClearFields();
}

void SplitQuery(std::string_view path_and_query, RequestHead& head) {
  const std::size_t mark = path_and_query.find('?');
  head.has_query = mark != path_and_query.npos;
  head.path = path_and_query.substr(0, mark);
  if (head.has_query) head.query = path_and_query.substr(mark + 1);
}

// "http://host:port/path?query". Which scheme it was is not kept: the connection knows, and a trusted
// proxy says.
Refused UnderstandAbsoluteTarget(RequestHead& head) {
  const std::string_view target = head.target;
  const std::size_t colon = std::min(target.find(':'), target.size());
  const std::string_view scheme = target.substr(0, colon);
  if (!EqualsIgnoreCase(scheme, "http") && !EqualsIgnoreCase(scheme, "https")) {
    return RefusalKind::kBadTarget;
  }
  std::string_view rest = target.substr(colon);
  if (!rest.starts_with("://")) return RefusalKind::kBadTarget;
  rest.remove_prefix(3);
  const std::size_t host_end = std::min(rest.find_first_of("/?"), rest.size());
  head.host = rest.substr(0, host_end);
  if (!IsValidHost(head.host)) return RefusalKind::kBadTarget;
  SplitQuery(rest.substr(host_end), head);
  if (!head.path.empty()) return kAccepted;
  if (head.method == Method::kOptions && !head.has_query) {  // RFC 9112 3.2.4
    head.target_form = TargetForm::kAsterisk;
    head.path = "*";
  } else {
    head.path = "/";
  }
  return kAccepted;
}

Refused UnderstandTarget(RequestHead& head) {
  if (head.method == Method::kConnect) return RefusalKind::kConnectNotSupported;
  if (head.target.front() == '/') {
    head.target_form = TargetForm::kOrigin;
    SplitQuery(head.target, head);
    return kAccepted;
  }
  if (head.target == "*") {
    if (head.method != Method::kOptions) return RefusalKind::kBadTarget;
    head.target_form = TargetForm::kAsterisk;
    head.path = head.target;
    return kAccepted;
  }
  head.target_form = TargetForm::kAbsolute;
  return UnderstandAbsoluteTarget(head);
}

Refused UnderstandHost(RequestHead& head) {
  if (!head.Has(KnownField::kHost))
    return head.minor_version == 0 ? kAccepted : Refused(RefusalKind::kMissingHost);
  if (head.Repeated(KnownField::kHost)) return RefusalKind::kRepeatedHost;
  Field& field = head.field_slots[head.first_of[static_cast<std::size_t>(KnownField::kHost)]];
  if (!IsValidHost(field.value)) return RefusalKind::kBadHost;
  if (head.host.empty()) {
    head.host = field.value;
  } else {
    field.value = head.host;
  }
  return kAccepted;
}

// It is not one "chunked" alone: RFC 9112 6.1 and 6.3 give the other cases their status.
RefusalKind WhyNotChunked(const RequestHead& head) {
  RefusalKind why = RefusalKind::kBadTransferEncoding;
  bool chunked_came = false;
  ForEachElement(head, KnownField::kTransferEncoding, [&](std::string_view coding) {
    const bool chunked = EqualsIgnoreCase(coding, "chunked");
    if (!chunked && IsToken(coding) && !chunked_came) why = RefusalKind::kUnknownTransferEncoding;
    chunked_came |= chunked;
  });
  return why;
}

// Digits alone; nothing that another parser might take for a sign, a list or another base.
Refused UnderstandLength(std::string_view digits, RequestHead& head) {
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), IsDigit)) {
    return RefusalKind::kBadContentLength;
  }
  const auto bytes = ParseDecimal(digits, std::numeric_limits<std::int64_t>::max());
  if (!bytes) return RefusalKind::kContentLengthTooLarge;
  head.framing = Framing::kContentLength;
  head.content_length = *bytes;
  return kAccepted;
}

Refused UnderstandFraming(RequestHead& head) {
  const Field* encoding = head.Find(KnownField::kTransferEncoding);
  const Field* length = head.Find(KnownField::kContentLength);
  if (encoding != nullptr) {
    if (length != nullptr) return RefusalKind::kLengthAndEncoding;
    if (head.minor_version == 0) return RefusalKind::kEncodingInHttp10;
    const bool chunked = EqualsIgnoreCase(encoding->value, "chunked");
    if (!chunked || head.Repeated(KnownField::kTransferEncoding)) return WhyNotChunked(head);
    head.framing = Framing::kChunked;
    return kAccepted;
  }
  if (length == nullptr) return kAccepted;
  if (head.Repeated(KnownField::kContentLength)) return RefusalKind::kRepeatedContentLength;
  return UnderstandLength(length->value, head);
}

// RFC 9112 9.3: "close" goes before all; HTTP/1.0 has to ask for more.
void UnderstandConnection(RequestHead& head) {
  bool close = false;
  bool keep_alive = head.minor_version >= 1;
  ForEachElement(head, KnownField::kConnection, [&](std::string_view option) {
    close |= EqualsIgnoreCase(option, "close");
    keep_alive |= EqualsIgnoreCase(option, "keep-alive");
  });
  head.keep_alive = keep_alive && !close;
}

// RFC 9110 10.1.1; HTTP/1.0 knows no expectations.
Refused UnderstandExpectation(RequestHead& head) {
  if (head.minor_version == 0) return kAccepted;
  bool unknown = false;
  ForEachElement(head, KnownField::kExpect, [&](std::string_view expectation) {
    const bool is_continue = EqualsIgnoreCase(expectation, "100-continue");
    head.expect_continue |= is_continue;
    unknown |= !is_continue;
  });
  return unknown ? Refused(RefusalKind::kUnknownExpectation) : kAccepted;
}

bool IsValidPort(std::string_view port) {
  return port.empty() || ParseDecimal(port, 65535);
}

}  // namespace

Refused ParseRequestHead(std::string_view bytes, const Limits& limits, RequestHead& head) {
  CHECK(limits.fields_max <= kFieldsCapacity);
  Clear(head);
  if (const Refused refused = HeadParser(bytes, limits, head).Parse()) return refused;
  if (const Refused refused = UnderstandTarget(head)) return refused;
  if (const Refused refused = UnderstandHost(head)) return refused;
  if (const Refused refused = UnderstandFraming(head)) return refused;
  UnderstandConnection(head);
  return UnderstandExpectation(head);
}

bool IsValidHost(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t bracket = host.find(']');
    if (bracket == host.npos) return false;
    const auto address = ParseAddress(host.substr(1, bracket - 1));
    const bool is_v6 = host.substr(1, bracket - 1).find(':') != host.npos;
    const std::string_view port = host.substr(bracket + 1);
    return address && is_v6 && (port.empty() || (port[0] == ':' && IsValidPort(port.substr(1))));
  }
  const std::size_t colon = std::min(host.find(':'), host.size());
  const std::string_view port = host.substr(std::min(colon + 1, host.size()));
  return colon > 0 && AllAre(kHostCharacter, host.substr(0, colon)) && IsValidPort(port);
}

}  // namespace onebox::http
