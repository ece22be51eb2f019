#pragma once
// Dates in HTTP (RFC 9110 5.6.7), as seconds since 1970 without leap seconds.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace onebox::http {

inline constexpr std::size_t kDateBytes = 29;
inline constexpr std::int64_t kDateMax = 253'402'300'799;  // the last second of the year 9999

// "Sun, 06 Nov 1994 08:49:37 GMT". Seconds outside 0 to kDateMax become the nearer end.
using DateText = std::array<char, kDateBytes>;
DateText FormatDate(std::int64_t seconds);

inline std::string_view View(const DateText& text) {
  return {text.data(), text.size()};
}

// All three forms: IMF-fixdate, RFC 850's with two digits of the year (which is why `now` is asked:
// more than 50 years ahead is the century before), and asctime's. Nothing where it is no date or its
// weekday is none; that the weekday fits the date is not checked.
std::optional<std::int64_t> ParseDate(std::string_view text, std::int64_t now);

}  // namespace onebox::http
