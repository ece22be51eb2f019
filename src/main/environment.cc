#include "main/environment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/nearest.h"
#include "main/written.h"

namespace onebox::main {
namespace {

constexpr std::string_view kPrefix = "ONEBOX_";

bool BeginsLikeAnOption(std::string_view name) {
  return std::any_of(Options().begin(), Options().end(), [name](const Option& option) {
    if (option.table().empty()) return name.starts_with(option.variable() + "_");
    std::string prefix(kPrefix);
    for (const char c : option.table()) {
      prefix += ToUpper(c);
    }
    return name.starts_with(prefix + "_");
  });
}

void TakeUnknown(const std::string& name, Layer& layer) {
  std::vector<std::string> names;
  for (const Option& option : Options()) {
    if (IsWritable(option)) names.push_back(option.variable());
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view meant = NearestName(name, views);
  const std::string hint = meant.empty() ? "" : fmt::format("; did you mean {}?", meant);
  if (BeginsLikeAnOption(name)) {
    layer.mistakes.push_back(fmt::format("{}: there is no such option{}", name, hint));
  } else {
    layer.warnings.push_back(
        fmt::format("{} is no option's variable and is ignored{}", name, hint));
  }
}

}  // namespace

Layer ReadEnvironment(const os::Variables& variables, const std::string& folder) {
  Layer layer;
  for (const auto& variable : variables) {
    const auto& name = variable.first;  // not bound: clang 14 captures no structured binding
    const auto& value = variable.second;
    if (!name.starts_with(kPrefix)) continue;
    const auto option =
        std::find_if(Options().begin(), Options().end(), [&name](const Option& candidate) {
          return candidate.variable() == name && IsWritable(candidate);
        });
    if (option == Options().end()) {
      TakeUnknown(name, layer);
      continue;
    }
    const auto values = option->shape == Shape::kOne ? std::vector<std::string_view>{value}
                                                     : SplitWords(value, ',');
    TakeWritten(
        *option, values, {.place = name, .source = "environment " + name, .folder = folder}, layer);
  }
  return layer;
}

}  // namespace onebox::main
