#include "main/settings.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/check.h"
#include "http/path.h"
#include "main/words.h"

namespace onebox::main {
namespace {

constexpr std::string_view kUnix = "unix:";

const Element* OnlyElement(const Settings& settings, std::string_view name) {
  const auto elements = ElementsOf(settings, name);
  return elements.empty() ? nullptr : &elements.front();
}

// The prefix as paths are when they are matched, and without the empty segments that are never
// served; nothing where there is no such path.
std::optional<std::string> NormalPrefix(std::string_view prefix) {
  std::string written(prefix), storage;
  http::NormalPath normal;
  auto refused = http::NormalizePath(written, storage, normal);
  if (refused == http::RefusalKind::kBadPercentEncoding) {
    // Then "%" is no encoding but itself, as in "/100%/", which requests write as "/100%25/".
    for (std::size_t at = written.find('%'); at != written.npos; at = written.find('%', at + 3)) {
      written.replace(at, 1, "%25");
    }
    refused = http::NormalizePath(written, storage, normal);
  }
  if (refused) return std::nullopt;
  std::string found(normal.path);
  const auto both = [](char a, char b) { return a == '/' && b == '/'; };
  found.erase(std::unique(found.begin(), found.end(), both), found.end());
  return found;
}

}  // namespace

Settings Defaults(const std::string& current_folder) {
  Settings settings;
  for (const Option& option : Options()) {
    if (IsPart(option)) continue;
    auto& elements = settings[std::string(option.name)];
    const auto values = option.shape == Shape::kList ? SplitWords(option.standard, ',')
                                                     : std::vector{option.standard};
    for (const std::string_view value : values) {
      if (value.empty()) continue;
      const auto checked = CheckValue(option, value);
      CHECK(checked);
      elements.push_back({"", Anchored(option, current_folder, *checked), "default"});
    }
  }
  return settings;
}

void Overlay(Settings& settings, const Settings& over) {
  for (const auto& [name, elements] : over) {
    const Option* option = FindOption(name);
    CHECK(option != nullptr);
    auto& mine = settings[name];
    if (option->shape != Shape::kMap && option->shape != Shape::kMounts) {
      mine = elements;
      continue;
    }
    for (const Element& element : elements) {
      std::erase_if(mine, [&element](const Element& old) { return old.name == element.name; });
      mine.push_back(element);
    }
  }
}

std::string TextOf(const Settings& settings, std::string_view name) {
  const Element* element = OnlyElement(settings, name);
  return element == nullptr ? "" : element->text;
}

std::string SourceOf(const Settings& settings, std::string_view name) {
  const Element* element = OnlyElement(settings, name);
  return element == nullptr ? "default" : element->source;
}

std::span<const Element> ElementsOf(const Settings& settings, std::string_view name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::span<const Element>() : found->second;
}

std::string PathFrom(const std::string& folder, std::string_view path) {
  std::string whole =
      (std::filesystem::path(folder) / std::filesystem::path(path)).lexically_normal().string();
  if (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

std::string Anchored(const Option& option, const std::string& folder, const std::string& text) {
  if (option.kind == Kind::kAddress && text.starts_with(kUnix) && !text.starts_with("unix:@")) {
    return fmt::format("{}{}", kUnix, PathFrom(folder, text.substr(kUnix.size())));
  }
  if (option.kind != Kind::kPath) return text;
  const auto words = SplitWords(option.choices, ',');
  if (std::find(words.begin(), words.end(), text) != words.end()) return text;
  const bool looked_up = option.name.ends_with(".python") && text.find('/') == std::string::npos;
  return looked_up ? text : PathFrom(folder, text);
}

std::optional<std::pair<std::string, std::string>> SplitPair(const Option& option,
                                                             std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(equals + 1);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const auto keys = SplitWords(option.keys, ',');
  if (!keys.empty() && std::find(keys.begin(), keys.end(), name) == keys.end()) return std::nullopt;
  if (option.shape == Shape::kMounts && (WrongPrefix(name) || value.empty())) return std::nullopt;
  return std::pair(std::string(name), std::string(value));
}

std::string_view PairForm(const Option& option) {
  return option.shape == Shape::kMounts ? "/PREFIX/=FOLDER" : "NAME=VALUE";
}

std::optional<std::string> WrongPrefix(std::string_view prefix) {
  if (!prefix.starts_with('/') || !prefix.ends_with('/')) {
    return "expected a prefix that begins and ends with \"/\"";
  }
  if (prefix.find_first_of("?#") != prefix.npos) {
    return "expected a prefix without \"?\" and \"#\", which end a path";
  }
  if (prefix.find('\\') != prefix.npos) return "no path with a backslash is served from a folder";
  const auto normal = NormalPrefix(prefix);
  if (!normal) return "no path is like this in its normal form";
  if (*normal == prefix) return std::nullopt;
  return fmt::format("expected a prefix in the normal form of paths, which is {}", Quoted(*normal));
}

std::string Place(const Option& option) {
  return option.table().empty() ? std::string(option.key())
                                : fmt::format("[{}] {}", option.table(), option.key());
}

}  // namespace onebox::main
