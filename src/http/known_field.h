#pragma once
// The header fields that the server itself looks at, each with a number.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace onebox::http {

enum class KnownField : std::uint8_t {
  kOther,
  kAccept,
  kAcceptEncoding,
  kAcceptLanguage,
  kAuthorization,
  kCacheControl,
  kConnection,
  kContentEncoding,
  kContentLength,
  kContentType,
  kCookie,
  kExpect,
  kForwarded,
  kHost,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kKeepAlive,
  kOrigin,
  kPragma,
  kRange,
  kReferer,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedPort,
  kXForwardedPrefix,
  kXForwardedProto,
  kXRealIp,
  kXRequestId,
};
inline constexpr std::size_t kKnownFields = static_cast<std::size_t>(KnownField::kXRequestId) + 1;

// The field of that name, in any case; `name` is a token.
KnownField KnownFieldOf(std::string_view name);

// In lower case; empty for kOther.
std::string_view NameOf(KnownField field);

}  // namespace onebox::http
