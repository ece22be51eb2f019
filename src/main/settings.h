#pragma once
// What each option is set to, and by whom.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "main/options.h"

namespace onebox::main {

struct Element;

// Options by name. Those of one value that nobody has set, and that have no default, have none.
using Settings = std::map<std::string, std::vector<Element>, std::less<>>;

// One value, checked. An option of one value or table has one of these, all others have any number.
struct Element {
  std::string name;    // of maps and mounts: the key
  std::string text;    // as CheckValue() gives it; of a table, and of a mount, its first key's
  std::string source;  // "default", "onebox.toml:4", "environment ONEBOX_APP_THREADS", ...
  Settings more{};     // of a table and a mount: its other keys that are set, by key
};

// Whole sentences, each with its place: "onebox.toml:2: [app] threads: expected ..., got ...".
using Mistakes = std::vector<std::string>;

// What one source has said.
struct Layer {
  Settings settings;
  Mistakes mistakes;
  std::vector<std::string> warnings{};
};

Settings Defaults(const std::string& current_folder);

// `over` wins: of maps and mounts name by name, of all others as a whole.
void Overlay(Settings& settings, const Settings& over);

// "" where it is not set. REQUIRES: an option of one value. `name` is a key, where they are a table's.
std::string TextOf(const Settings& settings, std::string_view name);
std::string SourceOf(const Settings& settings, std::string_view name);
// None where it is not set.
std::span<const Element> ElementsOf(const Settings& settings, std::string_view name);

// `path` from `folder`, without dots; what is absolute stays.
std::string PathFrom(const std::string& folder, std::string_view path);

// A value that was checked, with what is relative in it counted from `folder`.
std::string Anchored(const Option& option, const std::string& folder, const std::string& text);

// "K=V" of a map or "/PREFIX/=DIR" of a mount; nothing where it is not of that form.
std::optional<std::pair<std::string, std::string>> SplitPair(const Option& option,
                                                             std::string_view text);
// What such text must be, for messages.
std::string_view PairForm(const Option& option);

// What is wrong with the prefix of a mount, for messages: no path that is served begins with it.
// Nothing where it is right: "/static/".
std::optional<std::string> WrongPrefix(std::string_view prefix);

// "app" and "threads" as "[app] threads".
std::string Place(const Option& option);

}  // namespace onebox::main
