#include "front/static_names.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/ascii.h"
#include "http/characters.h"

namespace onebox::front {
namespace {

constexpr std::size_t kHexHashMin = 8;
constexpr std::size_t kBase64HashSize = 8;

enum class Kind : std::uint8_t { kDigit, kCapital, kSmall, kSign, kOther };

constexpr Kind KindOf(char c) {
  if (IsDigit(c)) return Kind::kDigit;
  if (c >= 'A' && c <= 'Z') return Kind::kCapital;
  if (c >= 'a' && c <= 'z') return Kind::kSmall;
  if (c == '-' || c == '_') return Kind::kSign;
  return Kind::kOther;
}

bool IsSeparator(char c) {
  return c == '.' || c == '-';
}

bool IsHexDigit(char c) {
  return http::HexValue(c).has_value();
}

bool IsHexHash(std::string_view part) {
  if (part.size() < kHexHashMin || !std::all_of(part.begin(), part.end(), IsHexDigit)) return false;
  const auto has = [&](Kind kind) {
    return std::any_of(part.begin(), part.end(), [kind](char c) { return KindOf(c) == kind; });
  };
  return has(Kind::kDigit) && has(Kind::kCapital) != has(Kind::kSmall);
}

// 8-4-4-4-12 hexadecimal digits: the name of a row in a table, whose bytes may change.
bool HasUuid(std::string_view name) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  const auto fits = [&](std::size_t at) {
    for (std::size_t i = 0; i < kShape.size(); ++i) {
      const char c = name[at + i];
      if (kShape[i] == 'x' ? !IsHexDigit(c) : c != '-') return false;
    }
    return true;
  };
  for (std::size_t at = 0; at + kShape.size() <= name.size(); ++at) {
    if (fits(at)) return true;
  }
  return false;
}

// Words change their kind of character seldom ("Chapter1", "MyPage01"), random ones often.
bool IsBase64Hash(std::string_view part) {
  constexpr int kChangesMin = 4;             // with a digit or sign in the middle
  constexpr int kChangesWithLettersMin = 5;  // letters alone
  while (!part.empty() && IsDigit(part.back()))
    part.remove_suffix(1);
  int changes = 0;
  bool letters_only = true;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const Kind kind = KindOf(part[i]);
    if (kind == Kind::kOther) return false;
    letters_only &= kind == Kind::kCapital || kind == Kind::kSmall;
    if (i > 0 && kind != KindOf(part[i - 1])) ++changes;
  }
  const bool has_capital =
      std::any_of(part.begin(), part.end(), [](char c) { return KindOf(c) == Kind::kCapital; });
  return has_capital && changes >= (letters_only ? kChangesWithLettersMin : kChangesMin);
}

bool HasHexHash(std::string_view stem) {
  std::size_t begin = stem.find_first_of(".-");
  while (begin != stem.npos) {
    const std::size_t end = std::min(stem.find_first_of(".-", begin + 1), stem.size());
    if (IsHexHash(stem.substr(begin + 1, end - begin - 1))) return true;
    begin = end < stem.size() ? end : stem.npos;
  }
  return false;
}

// The last characters, since a "-" may be one of the hash's own.
bool EndsInBase64Hash(std::string_view stem) {
  if (stem.size() < kBase64HashSize + 2) return false;
  const std::size_t begin = stem.size() - kBase64HashSize;
  return IsSeparator(stem[begin - 1]) && IsBase64Hash(stem.substr(begin));
}

// Without the extension, and without the one before ".map": "app.55e7cbb9.js.map".
std::string_view StemOf(std::string_view file_name) {
  const std::size_t point = file_name.rfind('.');
  if (point == file_name.npos || point + 1 == file_name.size()) return {};
  const std::string_view stem = file_name.substr(0, point);
  return file_name.substr(point) == ".map" ? stem.substr(0, stem.rfind('.')) : stem;
}

}  // namespace

bool IsServableName(std::string_view name) {
  if (name.find('\0') != name.npos) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (begin == end || name[begin] == '.') return false;
    begin = end + 1;
  }
  return true;
}

bool CarriesContentHash(std::string_view file_name) {
  const std::string_view stem = StemOf(file_name);
  if (stem.empty() || HasUuid(stem)) return false;
  return HasHexHash(stem) || EndsInBase64Hash(stem);
}

}  // namespace onebox::front
