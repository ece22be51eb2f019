#include "cache/key_text.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/wire.h"

namespace onebox::cache {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void AppendSized(char type, std::string_view content, std::string& bytes) {
  bytes.push_back(type);
  Writer(bytes).WriteText(content);
}

// --- from bytes

std::string Quoted(std::string_view text, std::string_view prefix) {
  std::string quoted(prefix);
  quoted += '\'';
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '\'' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !prefix.empty())) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += character;
    }
  }
  return quoted + '\'';
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".ein") == text.npos ? text + ".0" : text;
}

bool Describe(Reader& reader, int depth, std::string& text) {
  const char type = reader.Read<char>();
  switch (type) {
    case 'N':
      text += "None";
      break;
    case 'T':
      text += "True";
      break;
    case 'F':
      text += "False";
      break;
    case 'i':
      text += fmt::format("{}", reader.Read<std::int64_t>());
      break;
    case 'I':
      text += reader.ReadText();
      break;
    case 'f':
      text += FloatText(reader.Read<double>());
      break;
    case 's':
      text += Quoted(reader.ReadText(), "");
      break;
    case 'b':
      text += Quoted(reader.ReadText(), "b");
      break;
    case '(': {
      const auto size = reader.Read<std::uint32_t>();
      if (depth == kKeyDepthMax) return false;
      text += '(';
      for (std::uint32_t i = 0; i < size; ++i) {
        if (i > 0) text += ", ";
        if (!Describe(reader, depth + 1, text)) return false;
      }
      text += size == 1 ? ",)" : ")";
      break;
    }
    default:
      return false;
  }
  return reader.ok();
}

// --- from text

class KeyParser {
 public:
  explicit KeyParser(std::string_view text) : rest_(text) {}

  bool Value(int depth, std::string& bytes) {
    SkipSpaces();
    if (Take("None")) return AppendNone(bytes), true;
    if (Take("True")) return AppendBool(true, bytes), true;
    if (Take("False")) return AppendBool(false, bytes), true;
    if (rest_.starts_with('(')) return Tuple(depth, bytes);
    if (rest_.starts_with("b'") || rest_.starts_with("b\"")) {
      rest_.remove_prefix(1);
      return QuotedText('b', bytes);
    }
    if (rest_.starts_with('\'') || rest_.starts_with('"')) return QuotedText('s', bytes);
    return Number(bytes);
  }
  bool AtEnd() {
    SkipSpaces();
    return rest_.empty();
  }

 private:
  void SkipSpaces() {
    while (rest_.starts_with(' '))
      rest_.remove_prefix(1);
  }
  bool Take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool Tuple(int depth, std::string& bytes) {
    if (depth == kKeyDepthMax) return false;
    rest_.remove_prefix(1);
    std::string values;
    std::uint32_t size = 0;
    bool comma = true;
    while (true) {
      SkipSpaces();
      if (Take(")")) break;
      if (!comma || !Value(depth + 1, values)) return false;
      ++size;
      SkipSpaces();
      comma = Take(",");
    }
    if (size == 1 && !comma) return false;  // Python: a value in brackets is no tuple
    BeginTuple(size, bytes);
    bytes += values;
    return true;
  }

  bool QuotedText(char type, std::string& bytes) {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string content;
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\' && !Escape(content)) return false;
      if (rest_.empty() || rest_.front() == quote) continue;
      if (rest_.front() == '\\') continue;
      content += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    AppendSized(type, content, bytes);
    return true;
  }

  bool Escape(std::string& content) {
    if (rest_.size() >= 4 && rest_[1] == 'x') {
      const std::size_t high = kHexDigits.find(rest_[2]), low = kHexDigits.find(rest_[3]);
      if (high == kHexDigits.npos || low == kHexDigits.npos) return false;
      content += static_cast<char>(high << 4 | low);
      rest_.remove_prefix(4);
      return true;
    }
    if (rest_.size() < 2 || (rest_[1] != '\\' && rest_[1] != '\'' && rest_[1] != '"')) return false;
    content += rest_[1];
    rest_.remove_prefix(2);
    return true;
  }

  bool Number(std::string& bytes) {
    std::int64_t integer = 0;
    double real = 0;
    const char* const begin = rest_.data();
    const char* const end = begin + rest_.size();
    const auto as_integer = std::from_chars(begin, end, integer);
    const auto as_real = std::from_chars(begin, end, real);
    const bool whole = as_integer.ec == std::errc() && as_integer.ptr == as_real.ptr;
    if (!whole && as_real.ec != std::errc()) return false;
    rest_.remove_prefix(static_cast<std::size_t>(as_real.ptr - begin));
    if (whole) {
      AppendInteger(integer, bytes);
    } else {
      AppendFloat(real, bytes);
    }
    return true;
  }

  std::string_view rest_;
};

}  // namespace

void AppendNamespace(std::string_view name, std::string& bytes) {
  Writer(bytes).WriteText(name);
}
void AppendNone(std::string& bytes) {
  bytes.push_back('N');
}
void AppendBool(bool value, std::string& bytes) {
  bytes.push_back(value ? 'T' : 'F');
}
void AppendInteger(std::int64_t value, std::string& bytes) {
  bytes.push_back('i');
  Writer(bytes).Write(value);
}
void AppendLargeInteger(std::string_view hexadecimal, std::string& bytes) {
  AppendSized('I', hexadecimal, bytes);
}
void AppendFloat(double value, std::string& bytes) {
  bytes.push_back('f');
  Writer(bytes).Write(value);
}
void AppendText(std::string_view utf8, std::string& bytes) {
  AppendSized('s', utf8, bytes);
}
void AppendBytes(std::string_view value, std::string& bytes) {
  AppendSized('b', value, bytes);
}
void BeginTuple(std::uint32_t size, std::string& bytes) {
  bytes.push_back('(');
  Writer(bytes).Write(size);
}

std::string TagBytes(std::string_view name_space, std::string_view tag) {
  std::string bytes;
  AppendNamespace(name_space, bytes);
  AppendText(tag, bytes);
  return bytes;
}

std::optional<KeyText> DescribeKey(std::string_view bytes) {
  Reader reader(bytes);
  KeyText text{.name_space = std::string(reader.ReadText()), .value = {}};
  if (!reader.ok() || !Describe(reader, 0, text.value) || !reader.rest().empty()) {
    return std::nullopt;
  }
  return text;
}

Result<std::string> ParseKeyValue(std::string_view text) {
  std::string bytes;
  KeyParser parser(text);
  if (parser.Value(0, bytes) && parser.AtEnd()) return bytes;
  if (!text.empty() && (text.front() == '(' || text.front() == '\'' || text.front() == '"')) {
    return OperatorError(
        fmt::format("{} is no key: expected a text, a number, None, True, False, or a tuple of "
                    "these as Python writes it",
                    text));
  }
  bytes.clear();
  AppendText(text, bytes);
  return bytes;
}

}  // namespace onebox::cache
