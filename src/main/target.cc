#include "main/target.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"
#include "main/words.h"

namespace onebox::main {
namespace {

// Other letters than ASCII's may stand in a name; which of them, Python knows.
bool IsNameByte(char c) {
  return IsAlpha(c) || IsDigit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool IsName(std::string_view text) {
  return !text.empty() && !IsDigit(text.front()) &&
         std::all_of(text.begin(), text.end(), IsNameByte);
}

// "a.b.c"
bool IsDotted(std::string_view text) {
  while (true) {
    const std::size_t point = std::min(text.find('.'), text.size());
    if (!IsName(Trimmed(text.substr(0, point)))) return false;
    if (point == text.size()) return true;
    text.remove_prefix(point + 1);
  }
}

char ClosingOf(char open) {
  return open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : '\0';
}

// Where the bracket that the text begins with is closed, with all others in between; npos where one
// is not, or a quote.
std::size_t FindClosing(std::string_view text) {
  std::string open;
  char quote = '\0';
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != '\0') {
      if (c == '\\') ++at;
      if (c == quote) quote = '\0';
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (const char closing = ClosingOf(c); closing != '\0') {
      open += closing;
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) return text.npos;
      open.pop_back();
      if (open.empty()) return at;
    }
  }
  return text.npos;
}

}  // namespace

std::optional<std::string> WrongTarget(std::string_view target) {
  const std::size_t colon = std::min(target.find(':'), target.size());
  const std::string_view module = target.substr(0, colon);
  if (module.empty()) {
    return fmt::format("{} names no module; write MODULE{}", Quoted(target), target);
  }
  if (module.find('/') != module.npos) {
    return fmt::format(
        "{} is not the name of a module; folders are set apart by points, as in an "
        "import, or chosen with app.chdir",
        Quoted(module));
  }
  if (!IsDotted(module)) return fmt::format("{} is not the name of a module", Quoted(module));
  if (colon == target.size()) return std::nullopt;
  const std::string_view named = Trimmed(target.substr(colon + 1));
  if (named.empty()) {
    return fmt::format(
        "{} names nothing behind the colon; \"{}\" alone takes its app or application",
        Quoted(target),
        module);
  }
  const std::size_t call = std::min(named.find('('), named.size());
  if (call == 0) return std::nullopt;  // "(app)": odd, but Python's to judge
  const std::string_view name = Trimmed(named.substr(0, call));
  if (!IsDotted(name)) {
    return fmt::format("{} is neither an attribute nor a call of one", Quoted(named));
  }
  if (call == named.size()) return std::nullopt;
  const std::size_t closing = FindClosing(named.substr(call));
  if (closing == named.npos) {
    return fmt::format("a bracket or a quote in {} is not closed", Quoted(named));
  }
  const std::string_view rest = Trimmed(named.substr(call + closing + 1));
  if (rest.empty()) return std::nullopt;
  return fmt::format("{} stands behind the call in {}", Quoted(rest), Quoted(named));
}

}  // namespace onebox::main
