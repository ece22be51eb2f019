#pragma once
// %40 for @: bytes that a URL cannot have as they are.

#include <optional>
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace onebox {

// Nothing where a % is not followed by two hex digits, or stands for NUL.
inline std::optional<std::string> PercentDecoded(std::string_view text) {
  const auto digit = [](char c) {
    if (IsDigit(c)) return c - '0';
    c = ToLower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = digit(text[i + 1]), low = digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    plain += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return plain;
}

}  // namespace onebox
