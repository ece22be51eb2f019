#pragma once
// Request ids that come from outside.

#include <cstddef>
#include <string_view>

#include "http/characters.h"

namespace onebox::http {

inline constexpr std::size_t kRequestIdBytesMax = 128;

// Whether a trusted proxy's X-Request-ID may be taken over into headers and log lines.
constexpr bool IsAcceptableRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytesMax && AllAre(kVisibleCharacter, id);
}

}  // namespace onebox::http
