#include "http/upstream_response.h"

#include <limits>

#include "base/ascii.h"
#include "base/check.h"
#include "http/head_lines.h"
#include "http/list.h"
#include "http/response_head.h"

namespace onebox::http {
namespace {

using Wrong = std::optional<std::string_view>;
constexpr Wrong kRight = std::nullopt;

// HTTP-version SP status-code SP [ reason-phrase ]. That SP may be missing where the reason is: some
// servers leave it out, and it can be read in no other way.
Wrong TakeStatusLine(std::string_view line, ResponseHead& head) {
  constexpr std::string_view kProtocol = "HTTP/1.";
  constexpr std::size_t kStatusAt = kProtocol.size() + 2;
  constexpr std::size_t kStatusEnd = kStatusAt + 3;
  if (!line.starts_with(kProtocol)) return "the protocol of the answer is not HTTP/1";
  const bool well_formed = line.size() >= kStatusEnd && IsDigit(line[kProtocol.size()]) &&
                           line[kStatusAt - 1] == ' ' &&
                           (line.size() == kStatusEnd || line[kStatusEnd] == ' ');
  const auto status =
      well_formed ? ParseDecimal(line.substr(kStatusAt, 3), 999) : std::optional<std::uint64_t>();
  if (!status) return "the status line is not valid";
  if (*status < 100 || *status > 599) return "the status is not one of 100 to 599";
  head.minor_version = line[kProtocol.size()] == '0' ? 0 : 1;
  head.status = static_cast<int>(*status);
  head.reason = Trimmed(line.substr(std::min(kStatusEnd + 1, line.size())));
  return kRight;
}

Wrong TakeLength(ResponseHead& head) {
  const Field* length = head.Find(KnownField::kContentLength);
  if (length == nullptr) return kRight;
  if (head.Repeated(KnownField::kContentLength)) return "more than one Content-Length";
  const auto bytes = ParseDecimal(length->value, std::numeric_limits<std::int64_t>::max());
  if (!bytes) return "Content-Length is not a number that can be";
  head.has_length = true;
  head.content_length = *bytes;
  return kRight;
}

// RFC 9112 6.3. Both Content-Length and Transfer-Encoding are an error here, not a choice.
Wrong TakeFraming(Method method, ResponseHead& head) {
  const Field* encoding = head.Find(KnownField::kTransferEncoding);
  if (const Wrong wrong = TakeLength(head)) return wrong;
  if (encoding != nullptr) {
    if (head.has_length) return "both Content-Length and Transfer-Encoding";
    if (head.minor_version == 0) return "Transfer-Encoding in HTTP/1.0";
    const bool chunked = EqualsIgnoreCase(encoding->value, "chunked") &&
                         !head.Repeated(KnownField::kTransferEncoding);
    if (!chunked) return "a transfer coding other than chunked";
    if (head.status < 200 || head.status == 204) {  // RFC 9112 6.1
      return "Transfer-Encoding where no body can be";
    }
  }
  const bool bodiless =
      method == Method::kHead || head.status < 200 || head.status == 204 || head.status == 304;
  if (bodiless) {
    head.framing = ResponseFraming::kNone;
  } else if (encoding != nullptr) {
    head.framing = ResponseFraming::kChunked;
  } else if (head.has_length) {
    head.framing = ResponseFraming::kContentLength;
  } else {
    head.framing = ResponseFraming::kUntilClose;
  }
  return kRight;
}

void TakeConnection(ResponseHead& head) {
  bool close = head.framing == ResponseFraming::kUntilClose;
  bool keep_alive = head.minor_version >= 1;
  ForEachElement(head, KnownField::kConnection, [&](std::string_view option) {
    close |= EqualsIgnoreCase(option, "close");
    keep_alive |= EqualsIgnoreCase(option, "keep-alive");
  });
  head.keep_alive = keep_alive && !close;
}

void Clear(ResponseHead& head) {
  head.ClearFields();
  head.reason = {};
  head.content_length = 0;
  head.status = 0;
  head.has_length = head.keep_alive = false;
}

}  // namespace

std::string_view WrongResponse(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kMethodTooLong:
    case RefusalKind::kTargetTooLong:
    case RefusalKind::kHeadTooLarge:
      return "the head of the answer is too large";
    case RefusalKind::kTooManyFields:
      return "the answer has too many header fields";
    case RefusalKind::kTooManyEmptyLines:
      return "empty lines before the answer";
    default:
      return RefusalOf(kind).reason;
  }
}

std::optional<std::string_view> ParseResponseHead(std::string_view bytes,
                                                  Method method,
                                                  const Limits& limits,
                                                  ResponseHead& head) {
  CHECK(limits.fields_max <= kFieldsCapacity);
  Clear(head);
  if (bytes.size() > limits.head_bytes_max) return WrongResponse(RefusalKind::kHeadTooLarge);
  HeadLines lines(bytes);
  for (bool first = true;; first = false) {
    if (const auto refused = lines.Next()) return WrongResponse(*refused);
    if (lines.line().empty()) break;
    if (first) {
      if (const Wrong wrong = TakeStatusLine(lines.line(), head)) return wrong;
    } else if (const auto refused = lines.TakeField(head, limits.fields_max)) {
      return WrongResponse(*refused);
    }
  }
  if (!lines.AtEnd()) return WrongResponse(RefusalKind::kBrokenHead);
  if (const Wrong wrong = TakeFraming(method, head)) return wrong;
  TakeConnection(head);
  return kRight;
}

}  // namespace onebox::http
