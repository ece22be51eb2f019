#include "main/written.h"

#include <fmt/format.h>

namespace onebox::main {
namespace {

std::optional<Element> ReadOne(const Option& option, std::string_view text, const WrittenAt& at) {
  if (option.shape != Shape::kMap && option.shape != Shape::kMounts) {
    const auto checked = CheckValue(option, text);
    if (!checked) return std::nullopt;
    return Element{"", Anchored(option, at.folder, *checked), at.source};
  }
  const auto pair = SplitPair(option, text);
  if (!pair) return std::nullopt;
  return Element{pair->first, Anchored(option, at.folder, pair->second), at.source};
}

// What was expected; of a mount that has its form, what is wrong with the prefix.
std::string Expected(const Option& option, std::string_view text) {
  const std::string_view name = text.substr(0, text.find('='));
  if (option.shape == Shape::kMounts && name.starts_with('/') && name.ends_with('/')) {
    if (const auto wrong = WrongPrefix(name)) return *wrong;
  }
  if (option.shape == Shape::kMap || option.shape == Shape::kMounts) {
    return fmt::format("expected {}", PairForm(option));
  }
  Option one = option;
  one.shape = Shape::kOne;
  return fmt::format("expected {}", one.expected());
}

}  // namespace

void TakeWritten(const Option& option,
                 std::span<const std::string_view> values,
                 const WrittenAt& at,
                 Layer& layer) {
  std::vector<Element> elements;
  for (const std::string_view text : values) {
    if (auto element = ReadOne(option, text, at)) {
      elements.push_back(std::move(*element));
      continue;
    }
    layer.mistakes.push_back(fmt::format("{}: {}, got {}{}",
                                         at.place,
                                         Expected(option, text),
                                         Quoted(text),
                                         AdviceOn(option, text)));
  }
  if (values.empty() && option.kind == Kind::kAddress) {
    layer.mistakes.push_back(fmt::format("{}: expected at least one address", at.place));
    return;
  }
  layer.settings[std::string(option.name)] = std::move(elements);
}

}  // namespace onebox::main
