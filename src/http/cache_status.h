#pragma once
// The Cache-Status field: what a cache did with a request (RFC 9211).

#include <cstdint>
#include <string>
#include <string_view>

namespace onebox::http {

// Why the app was asked, in RFC 9211's words.
enum class Forwarded : std::uint8_t { kNo, kBypass, kMethod, kMiss, kStale, kRequest };

struct CacheStatus {
  std::string_view cache = "Onebox";     // a token
  Forwarded forwarded = Forwarded::kNo;  // kNo: a hit
  std::int64_t ttl = 0;      // seconds left, where it is a hit; negative where it is stale
  int forwarded_status = 0;  // that the app gave; 0: not told
  bool stored = false;
  bool collapsed = false;        // it waited for somebody else's request
  std::string_view detail = {};  // a token: why it was not stored, or not looked for
};

// "Onebox; hit; ttl=37", "Onebox; fwd=stale; fwd-status=304; stored", "Onebox; fwd=bypass; detail=cookie".
void AppendCacheStatus(std::string& out, const CacheStatus& status);

// The whole line, with its CRLF.
inline void AppendCacheStatusLine(std::string& out, const CacheStatus& status) {
  out += "Cache-Status: ";
  AppendCacheStatus(out, status);
  out += "\r\n";
}
inline std::string CacheStatusLine(const CacheStatus& status) {
  std::string line;
  AppendCacheStatusLine(line, status);
  return line;
}

}  // namespace onebox::http
