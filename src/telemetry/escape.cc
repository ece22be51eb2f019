#include "telemetry/escape.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace onebox::telemetry {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

constexpr std::uint8_t Byte(char c) {
  return static_cast<std::uint8_t>(c);
}

// The shapes of UTF-8 (Unicode 15, table 3-7): the first byte decides how many follow, and how far
// the second may go.
struct Shape {
  std::uint8_t first_min, first_max;
  std::uint8_t second_min, second_max;
  std::size_t length;
};
constexpr std::array kShapes = {
    Shape{0xC2, 0xC2, 0xA0, 0xBF, 2},  // without the controls U+0080 to U+009F
    Shape{0xC3, 0xDF, 0x80, 0xBF, 2},
    Shape{0xE0, 0xE0, 0xA0, 0xBF, 3},
    Shape{0xE1, 0xEC, 0x80, 0xBF, 3},
    Shape{0xED, 0xED, 0x80, 0x9F, 3},
    Shape{0xEE, 0xEF, 0x80, 0xBF, 3},
    Shape{0xF0, 0xF0, 0x90, 0xBF, 4},
    Shape{0xF1, 0xF3, 0x80, 0xBF, 4},
    Shape{0xF4, 0xF4, 0x80, 0x8F, 4},
};

bool Fits(const Shape& shape, std::string_view text) {
  if (text.size() < shape.length) return false;
  if (Byte(text[1]) < shape.second_min || Byte(text[1]) > shape.second_max) return false;
  for (std::size_t i = 2; i < shape.length; ++i) {
    if (Byte(text[i]) < 0x80 || Byte(text[i]) > 0xBF) return false;
  }
  return true;
}

std::size_t WideLength(std::string_view text) {
  for (const Shape& shape : kShapes) {
    if (Byte(text[0]) < shape.first_min || Byte(text[0]) > shape.first_max) continue;
    return Fits(shape, text) ? shape.length : 0;
  }
  return 0;
}

constexpr bool IsPrintableAscii(char c) {
  return c >= 0x20 && c <= 0x7E;
}
constexpr bool NeedsNoQuoting(char c) {
  return IsPrintableAscii(c) && c != '"' && c != '\\';
}

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0; byte < plain.size(); ++byte)
    plain[byte] = NeedsNoQuoting(static_cast<char>(byte));
  return plain;
}();

constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
constexpr std::uint64_t kHighBits = kOnes * 0x80;

// Not zero where one of the eight bytes is `byte`.
constexpr std::uint64_t Holds(std::uint64_t word, std::uint64_t byte) {
  const std::uint64_t zero_where_equal = word ^ (kOnes * byte);
  return (zero_where_equal - kOnes) & ~zero_where_equal & kHighBits;
}

// kPlain of eight bytes at once: a log line is mostly plain.
bool AllPlain(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  const std::uint64_t below_space = (word - kOnes * 0x20) & ~word;
  const std::uint64_t care =
      word | below_space | Holds(word, '"') | Holds(word, '\\') | Holds(word, 0x7F);
  return (care & kHighBits) == 0;
}

// Appends the bytes up to the first that needs care, and takes them from `text`.
void AppendPlain(std::string& out, std::string_view& text) {
  std::size_t length = 0;
  while (text.size() - length >= sizeof(std::uint64_t) && AllPlain(text.data() + length))
    length += sizeof(std::uint64_t);
  while (length < text.size() && kPlain[Byte(text[length])])
    ++length;
  out.append(text.substr(0, length));
  text.remove_prefix(length);
}

void AppendJsonByte(std::string& out, char byte) {
  if (byte == '\n') {
    out += "\\n";
  } else if (byte == '\t') {
    out += "\\t";
  } else {
    out.append({'\\', 'u', '0', '0', kDigits[Byte(byte) >> 4], kDigits[Byte(byte) & 15]});
  }
}

}  // namespace

std::size_t PrintableLength(std::string_view text) {
  if (text.empty()) return 0;
  return Byte(text[0]) < 0x80 ? std::size_t{IsPrintableAscii(text[0])} : WideLength(text);
}

void AppendHexByte(std::string& out, char byte) {
  out.append({'\\', 'x', kDigits[Byte(byte) >> 4], kDigits[Byte(byte) & 15]});
}

void AppendPrintable(std::string& out, std::string_view text) {
  while (!text.empty()) {
    AppendPlain(out, text);
    if (text.empty()) return;
    const std::size_t length = PrintableLength(text);
    if (length == 0) AppendHexByte(out, text[0]);
    out.append(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

void AppendQuotable(std::string& out, std::string_view text) {
  while (true) {
    AppendPlain(out, text);
    if (text.empty()) return;
    AppendHexByte(out, text[0]);
    text.remove_prefix(1);
  }
}

void AppendJson(std::string& out, std::string_view text) {
  while (!text.empty()) {
    AppendPlain(out, text);
    if (text.empty()) return;
    const std::size_t length = PrintableLength(text);
    if (length == 0) AppendJsonByte(out, text[0]);
    if (length == 1) out += '\\';  // a quote or a backslash
    out.append(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

}  // namespace onebox::telemetry
