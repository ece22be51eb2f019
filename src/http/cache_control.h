#pragma once
// What a Cache-Control field says (RFC 9111 5.2, RFC 5861).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace onebox::http {

using CacheSeconds = std::chrono::seconds;

// A number of seconds above it is taken for it: 2^31, as RFC 9111 1.2.2 has it.
inline constexpr CacheSeconds kCacheSecondsMax{std::int64_t{1} << 31};

// Of requests and of answers alike; what is not there is false or nothing. Directives that have an
// argument only where it names fields (`private="X"`, `no-cache="X"`) count as without it: more is kept
// back than was asked, never less.
struct CacheControl {
  bool no_store = false;
  bool no_cache = false;
  bool is_private = false;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool no_transform = false;
  bool only_if_cached = false;
  bool any_stale = false;  // max-stale without a number
  std::optional<CacheSeconds> max_age;
  std::optional<CacheSeconds> s_maxage;
  std::optional<CacheSeconds> max_stale;
  std::optional<CacheSeconds> min_fresh;
  std::optional<CacheSeconds> stale_while_revalidate;
  std::optional<CacheSeconds> stale_if_error;

  bool operator==(const CacheControl&) const = default;

  // Adds what the value of one more field says; names in any case, numbers bare or in quotes. Directives
  // that are not known and elements that are none are passed over. What asks for less reuse wins: of a
  // time that is said twice the shorter one, of min-fresh the longer; one that is no number is 0, and
  // min-fresh then as long as it can be.
  void Add(std::string_view value);
};

// "123" in seconds, at most kCacheSecondsMax; nothing where it is no number.
std::optional<CacheSeconds> ParseDeltaSeconds(std::string_view text);

}  // namespace onebox::http
