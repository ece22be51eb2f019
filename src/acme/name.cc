#include "acme/name.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"

namespace onebox::acme {
namespace {

constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kTokenBytesMax = 128;

bool IsLabel(std::string_view label) {
  const bool right = std::all_of(
      label.begin(), label.end(), [](char c) { return IsDigit(c) || IsAlpha(c) || c == '-'; });
  return right && !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' &&
         label.back() != '-';
}

// Labels that dots separate.
bool AreLabels(std::string_view name) {
  while (true) {
    const std::size_t dot = name.find('.');
    if (!IsLabel(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<std::string> ParseName(std::string_view text) {
  std::string name = Lowered(text);
  if (name.ends_with('.')) name.pop_back();
  const auto mistake = [&](std::string_view why) {
    return OperatorError(fmt::format("\"{}\": {}", text, why));
  };
  if (name.find('*') != std::string::npos) {
    return mistake("a wildcard needs a challenge by DNS; name each host");
  }
  if (std::any_of(name.begin(), name.end(), [](char c) { return (c & 0x80) != 0; })) {
    return mistake("write a name with other letters as DNS has it, xn--...");
  }
  if (name.size() > kNameBytesMax || !AreLabels(name)) return mistake("this is no name of a host");
  const std::size_t last = name.rfind('.');
  if (last == std::string::npos) return mistake("a public name has a dot");
  const bool address =
      std::all_of(name.begin() + static_cast<std::ptrdiff_t>(last) + 1, name.end(), IsDigit);
  if (address) return mistake("an address of IP has no certificate here; name the host");
  return name;
}

bool IsToken(std::string_view token) {
  return !token.empty() && token.size() <= kTokenBytesMax &&
         std::all_of(token.begin(), token.end(), [](char c) {
           return IsDigit(c) || IsAlpha(c) || c == '-' || c == '_';
         });
}

}  // namespace onebox::acme
