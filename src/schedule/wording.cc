#include "schedule/wording.h"

#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/nearest.h"

namespace onebox::schedule {
namespace {

constexpr std::size_t kQuotedMax = 80;
constexpr std::size_t kNameMax = 64;  // nothing that is longer is near a name
constexpr std::size_t kShortName = 3;

}  // namespace

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kQuotedMax)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < 0x20 || byte == 0x7F || c == '"' ? '?' : c;
  }
  return quoted.append(text.size() > kQuotedMax ? "...\"" : "\"");
}

std::string DidYouMean(std::string_view wrong, std::span<const std::string_view> names) {
  if (wrong.size() > kNameMax) return "";
  const std::string_view nearest = NearestName(wrong, names);
  return nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest);
}

std::optional<int> FindName(std::string_view text, std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (EqualsIgnoreCase(text, names[i]) || EqualsIgnoreCase(text, names[i].substr(0, kShortName)))
      return static_cast<int>(i);
  }
  return std::nullopt;
}

std::string DidYouMeanName(std::string_view wrong, std::span<const std::string_view> names) {
  std::vector<std::string_view> both;
  for (const std::string_view name : names)
    both.insert(both.end(), {name.substr(0, kShortName), name});
  return DidYouMean(Lowered(wrong), both);
}

}  // namespace onebox::schedule
