#pragma once
// Which bytes may stand where in a message: the character classes of RFC 9110 and 3986 as a table.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ascii.h"

namespace onebox::http {

enum CharacterClass : std::uint8_t {
  kTokenCharacter = 1,    // tchar, RFC 9110 5.6.2
  kFieldCharacter = 2,    // VCHAR, obs-text, SP, HTAB: what a field value may hold, RFC 9110 5.5
  kVisibleCharacter = 4,  // VCHAR: 0x21 to 0x7e
  kTargetCharacter = 8,   // what a request target may hold; see kTargetCharacter's comment below
  kHostCharacter = 16,    // of a name in Host; see IsValidHost
  kHexCharacter = 32,
};

// kTargetCharacter: any visible character but "#", and any byte from 0x80. RFC 3986 allows fewer,
// but browsers send [ ] { } | ^ ` raw in queries, clients of old apps send raw UTF-8 in paths, and
// both nginx and Gunicorn pass them on. None of these can be read two ways. A "#" can (a fragment is
// not part of a target, so some cut it off), a space and a control character too.

namespace characters_internal {

constexpr bool Contains(std::string_view set, char c) {
  return set.find(c) != set.npos;
}

constexpr std::uint8_t ClassesOf(unsigned byte) {
  const char c = static_cast<char>(byte);
  const bool visible = byte > 0x20 && byte < 0x7f;
  const bool alphanumeric = visible && (IsAlpha(c) || IsDigit(c));
  unsigned classes = 0;
  if (alphanumeric || (visible && Contains("!#$%&'*+-.^_`|~", c))) classes |= kTokenCharacter;
  if (visible || byte >= 0x80 || c == ' ' || c == '\t') classes |= kFieldCharacter;
  if (visible) classes |= kVisibleCharacter;
  if ((visible && c != '#') || byte >= 0x80) classes |= kTargetCharacter;
  if (alphanumeric || (visible && Contains("-._~!$&'()*+;=", c))) classes |= kHostCharacter;
  if (IsDigit(c) || (ToLower(c) >= 'a' && ToLower(c) <= 'f')) classes |= kHexCharacter;
  return static_cast<std::uint8_t>(classes);
}

inline constexpr auto kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned byte = 0; byte < 256; ++byte)
    classes[byte] = ClassesOf(byte);
  return classes;
}();

}  // namespace characters_internal

constexpr bool Is(CharacterClass wanted, char c) {
  return (characters_internal::kClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

// Whether every character of `text` is of the class; true for an empty text.
constexpr bool AllAre(CharacterClass wanted, std::string_view text) {
  for (const char c : text) {
    if (!Is(wanted, c)) return false;
  }
  return true;
}

constexpr bool IsToken(std::string_view text) {
  return !text.empty() && AllAre(kTokenCharacter, text);
}

// The value of one hexadecimal digit.
constexpr std::optional<unsigned> HexValue(char c) {
  if (!Is(kHexCharacter, c)) return std::nullopt;
  return static_cast<unsigned>(IsDigit(c) ? c - '0' : ToLower(c) - 'a' + 10);
}

static_assert(Is(kTokenCharacter, '!') && !Is(kTokenCharacter, ':') && !Is(kTokenCharacter, ' '));
static_assert(Is(kFieldCharacter, '\t') && !Is(kFieldCharacter, '\x7f') &&
              !Is(kFieldCharacter, '\0') && Is(kFieldCharacter, '\x80'));
static_assert(Is(kTargetCharacter, '[') && !Is(kTargetCharacter, '#') &&
              !Is(kTargetCharacter, ' ') && Is(kTargetCharacter, '\xff'));
static_assert(HexValue('f') == 15 && HexValue('A') == 10 && !HexValue('g') && !HexValue(':'));

}  // namespace onebox::http
