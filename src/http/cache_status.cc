#include "http/cache_status.h"

#include <array>
#include <charconv>

namespace onebox::http {
namespace {

constexpr std::array<std::string_view, 6> kForwardedNames =
    {"", "bypass", "method", "miss", "stale", "request"};

void AppendNumber(std::string& out, std::int64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

}  // namespace

void AppendCacheStatus(std::string& out, const CacheStatus& status) {
  out += status.cache;
  if (status.forwarded == Forwarded::kNo) {
    out += "; hit; ttl=";
    AppendNumber(out, status.ttl);
  } else {
    out.append("; fwd=").append(kForwardedNames[static_cast<std::size_t>(status.forwarded)]);
    if (status.forwarded_status != 0) {
      out += "; fwd-status=";
      AppendNumber(out, status.forwarded_status);
    }
    if (status.stored) out += "; stored";
  }
  if (status.collapsed) out += "; collapsed";
  if (!status.detail.empty()) out.append("; detail=").append(status.detail);
}

}  // namespace onebox::http
