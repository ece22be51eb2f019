#include "main/toml_file.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/nearest.h"
#include "main/words.h"

namespace onebox::main {
namespace {

// As it stands in the file, or what kind of thing it is.
std::string Shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return Quoted(text->get());
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  std::ostringstream out;
  node.visit([&out](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) out << value;
  });
  return out.str();
}

// The value as text, where the node is of a type that may hold it.
std::optional<std::string> TextIn(const Option& option, const toml::node& node) {
  if (const auto* text = node.as_string()) {
    const auto words = SplitWords(option.choices, ',');
    const bool is_word = std::find(words.begin(), words.end(), text->get()) != words.end();
    if (option.kind == Kind::kBool || (option.kind == Kind::kInteger && !is_word)) {
      return std::nullopt;
    }
    return text->get();
  }
  if (const auto* number = node.as_integer()) {
    const bool counts = option.kind == Kind::kInteger || option.kind == Kind::kBytes ||
                        option.kind == Kind::kDuration;
    return counts ? std::optional(std::to_string(number->get())) : std::nullopt;
  }
  if (const auto* number = node.as_floating_point()) {
    return option.kind == Kind::kDuration ? std::optional(fmt::format("{:f}", number->get()))
                                          : std::nullopt;
  }
  if (const auto* truth = node.as_boolean()) {
    return option.kind == Kind::kBool ? std::optional<std::string>(truth->get() ? "true" : "false")
                                      : std::nullopt;
  }
  return std::nullopt;
}

class Reader {
 public:
  Reader(const std::string& file, const std::string& folder) : file_(file), folder_(folder) {}

  Layer Read(const toml::table& file) {
    for (const auto& [key, node] : file) {
      ReadTopLevel(key, node);
    }
    return std::move(layer_);
  }

 private:
  void ReadTopLevel(const toml::key& key, const toml::node& node) {
    if (const Option* option = FindOption(key.str());
        option != nullptr && option->table().empty()) {
      ReadOption(*option, node);
      return;
    }
    const auto tables = NamesOfTables();
    const bool known = std::find(tables.begin(), tables.end(), key.str()) != tables.end();
    if (!known && node.is_table()) {
      MistakeUnknown(key, fmt::format("[{}]", key.str()), "there is no such table", tables);
    } else if (!known && node.is_array_of_tables()) {
      MistakeUnknown(key, fmt::format("[[{}]]", key.str()), "there is no such table", tables);
    } else if (!known) {
      const std::string belongs_to = WhereItBelongs(key.str());
      const std::string_view what =
          belongs_to.empty() ? "there is no such key or table" : "there is no such key";
      std::vector<std::string_view> names = {"state"};
      names.insert(names.end(), tables.begin(), tables.end());
      MistakeUnknown(key, std::string(key.str()), what, names, belongs_to);
    } else if (const auto* table = node.as_table()) {
      ReadTable(key.str(), *table);
    } else {
      Mistake(node, fmt::format("{}: expected a table, got {}", key.str(), Shown(node)));
    }
  }

  void ReadTable(std::string_view name, const toml::table& table) {
    for (const auto& [key, node] : table) {
      if (const Option* option = FindOption(fmt::format("{}.{}", name, key.str()))) {
        ReadOption(*option, node);
        continue;
      }
      MistakeUnknown(key,
                     fmt::format("[{}] {}", name, key.str()),
                     "there is no such key",
                     KeysOf(fmt::format("{}.", name)),
                     WhereItBelongs(key.str()));
    }
  }

  void ReadOption(const Option& option, const toml::node& node) {
    switch (option.shape) {
      case Shape::kOne:
        if (auto element = ReadValue(option, node, Place(option))) {
          layer_.settings[std::string(option.name)] = {std::move(*element)};
        }
        return;
      case Shape::kList:
        ReadList(option, node);
        return;
      case Shape::kMap:
      case Shape::kMounts:
        ReadMap(option, node);
        return;
      case Shape::kTables:
        ReadTables(option, node);
        return;
    }
  }

  void ReadTables(const Option& option, const toml::node& node) {
    const auto* list = node.as_array();
    if (list == nullptr) {
      Mistake(
          node,
          fmt::format("{}: expected {}, got {}", Place(option), option.expected(), Shown(node)));
      return;
    }
    auto& elements = layer_.settings[std::string(option.name)];
    for (const toml::node& one : *list) {
      const std::string place = fmt::format("[[{}]]", option.name);
      const auto* table = one.as_table();
      if (table == nullptr) {
        Mistake(one, fmt::format("{}: expected a table, got {}", place, Shown(one)));
      } else if (auto element = ReadOneOf(option, place, *table)) {
        elements.push_back(std::move(*element));
      }
    }
  }

  // The first key of the rows says which one it is.
  std::optional<Element> ReadOneOf(const Option& option,
                                   const std::string& place,
                                   const toml::table& table) {
    const std::string prefix = fmt::format("{}.", option.name);
    const auto keys = KeysOf(prefix);
    Element found{"", "", SourceAt(table)};
    for (const auto& [key, node] : table) {
      const Option* row = FindOption(prefix + std::string(key.str()));
      const std::string at = fmt::format("{} {}", place, key.str());
      if (row == nullptr) {
        MistakeUnknown(key, at, "there is no such key", keys, WhereItBelongs(key.str()));
        continue;
      }
      const auto text =
          row->shape == Shape::kList ? ReadWords(*row, node, at) : TextOfValue(*row, node, at);
      if (!text) continue;
      if (key.str() == keys.front()) {
        found.text = *text;
        found.source = SourceAt(node);
      } else {
        found.more[std::string(key.str())] = {*text, SourceAt(node)};
      }
    }
    if (!table.contains(keys.front())) {
      Mistake(table, fmt::format("{}: expected {}", place, keys.front()));
    }
    return found.text.empty() ? std::nullopt : std::optional(std::move(found));
  }

  std::optional<std::string> TextOfValue(const Option& option,
                                         const toml::node& node,
                                         const std::string& place) {
    const auto element = ReadValue(option, node, place);
    return element ? std::optional(element->text) : std::nullopt;
  }

  std::optional<std::string> ReadWords(const Option& option,
                                       const toml::node& node,
                                       const std::string& place) {
    const auto* list = node.as_array();
    if (list == nullptr || list->empty()) {
      Mistake(node,
              fmt::format("{}: expected {}, got {}",
                          place,
                          option.expected(),
                          list == nullptr ? Shown(node) : "an empty one"));
      return std::nullopt;
    }
    std::vector<std::string> words;
    for (const toml::node& one : *list) {
      if (auto text = TextOfValue(option, one, place)) words.push_back(std::move(*text));
    }
    if (words.empty()) return std::nullopt;
    return fmt::format("{}", fmt::join(words, ", "));
  }

  std::optional<Element> ReadValue(const Option& option,
                                   const toml::node& node,
                                   const std::string& place) {
    const auto text = TextIn(option, node);
    const auto checked = text ? CheckValue(option, *text) : std::nullopt;
    if (!checked) {
      const Option alone = AsOne(option);
      Mistake(node,
              fmt::format("{}: expected {}, got {}{}",
                          place,
                          alone.expected(),
                          Shown(node),
                          node.is_string() ? AdviceOn(option, node.as_string()->get()) : ""));
      return std::nullopt;
    }
    return Element{"", Anchored(option, folder_, *checked), SourceAt(node)};
  }

  void ReadList(const Option& option, const toml::node& node) {
    const auto* list = node.as_array();
    if (list == nullptr || (list->empty() && option.kind == Kind::kAddress)) {
      Mistake(node,
              fmt::format("{}: expected {}, got {}",
                          Place(option),
                          option.expected(),
                          list == nullptr ? Shown(node) : "an empty one"));
      return;
    }
    std::vector<Element> elements;
    for (const toml::node& one : *list) {
      if (auto element = ReadValue(option, one, Place(option))) {
        elements.push_back(std::move(*element));
      }
    }
    if (elements.empty() && !list->empty()) return;  // not one of them is right: as if not said
    layer_.settings[std::string(option.name)] = std::move(elements);
  }

  void ReadMap(const Option& option, const toml::node& node) {
    const auto* map = node.as_table();
    if (map == nullptr) {
      Mistake(node, fmt::format("{}: expected a table, got {}", Place(option), Shown(node)));
      return;
    }
    auto& elements = layer_.settings[std::string(option.name)];
    for (const auto& [key, value] : *map) {
      auto element =
          option.shape == Shape::kMounts ? ReadMount(key, value) : ReadVariable(option, key, value);
      if (!element) continue;
      element->name = key.str();
      elements.push_back(std::move(*element));
    }
  }

  std::optional<Element> ReadVariable(const Option& option,
                                      const toml::key& key,
                                      const toml::node& value) {
    const auto known = SplitWords(option.keys, ',');
    if (!known.empty() && std::find(known.begin(), known.end(), key.str()) == known.end()) {
      MistakeUnknown(
          key, fmt::format("{} {}", Place(option), key.str()), "there is no such key", known);
      return std::nullopt;
    }
    if (key.str().empty() ||
        key.str().find_first_of(std::string_view("=\0", 2)) != key.str().npos) {
      Mistake(
          key,
          fmt::format("{} {}: expected the name of a variable", Place(option), Quoted(key.str())));
      return std::nullopt;
    }
    return ReadValue(option, value, fmt::format("{} {}", Place(option), key.str()));
  }

  std::optional<Element> ReadMount(const toml::key& key, const toml::node& value) {
    const std::string place = fmt::format("[static] {}", Quoted(key.str()));
    if (const auto wrong = WrongPrefix(key.str())) {
      Mistake(key, fmt::format("{}: {}", place, *wrong));
      return std::nullopt;
    }
    const Option& dir = *FindOption("static.PREFIX.dir");
    if (value.is_string()) return ReadValue(dir, value, place);
    const auto* table = value.as_table();
    if (table == nullptr) {
      Mistake(
          value,
          fmt::format("{}: expected a folder, or a table with dir, got {}", place, Shown(value)));
      return std::nullopt;
    }
    return ReadMountTable(place, *table);
  }

  std::optional<Element> ReadMountTable(const std::string& place, const toml::table& table) {
    std::optional<Element> mount;
    std::map<std::string, Part> more;
    bool dir_was_there = false;
    for (const auto& [key, node] : table) {
      const Option* option = FindOption(fmt::format("{}{}", kMountPrefix, key.str()));
      if (option == nullptr) {
        MistakeUnknown(key,
                       fmt::format("{} {}", place, key.str()),
                       "there is no such key",
                       KeysOf(kMountPrefix),
                       WhereItBelongs(key.str()));
        continue;
      }
      const bool is_dir = key.str() == "dir";
      dir_was_there = dir_was_there || is_dir;
      auto element = ReadValue(*option, node, fmt::format("{} {}", place, key.str()));
      if (!element) continue;
      if (is_dir) {
        mount = std::move(element);
      } else {
        more[std::string(key.str())] = {element->text, element->source};
      }
    }
    if (!dir_was_there) Mistake(table, fmt::format("{}: expected dir, the folder", place));
    if (mount) mount->more = std::move(more);
    return mount;
  }

  // --- what is wrong ---------------------------------------------------------

  static std::vector<std::string_view> NamesOfTables() {
    std::vector<std::string_view> names;
    for (const Option& option : Options()) {
      const bool is_table = option.shape == Shape::kMounts || option.shape == Shape::kTables;
      const std::string_view name =
          option.table().empty() && is_table ? option.key() : option.table();
      if (IsPart(option) || name.empty()) continue;
      if (names.empty() || names.back() != name) names.push_back(name);
    }
    return names;
  }

  static std::vector<std::string_view> KeysOf(std::string_view prefix) {
    std::vector<std::string_view> keys;
    for (const Option& option : Options()) {
      if (!option.name.starts_with(prefix)) continue;
      const std::string_view key = option.name.substr(prefix.size());
      if (key.find('.') == std::string_view::npos) keys.push_back(key);  // not of a table in it
    }
    return keys;
  }

  static std::string NameOfTable(const Option& option) {
    if (option.table().empty()) return "no table: it stands before the first";
    if (option.name.starts_with(kMountPrefix)) return "a prefix of [static]";
    return IsPart(option) ? fmt::format("[[{}]]", option.table())
                          : fmt::format("[{}]", option.table());
  }

  // "[front] or [admin]"; empty where no table has such a key. The keys of one of several tables
  // count where no other has it.
  static std::string WhereItBelongs(std::string_view key) {
    std::vector<std::string> tables, parts;
    for (const Option& option : Options()) {
      const bool is_table = option.shape == Shape::kMounts || option.shape == Shape::kTables;
      const bool is_it =
          option.key() == key || option.name == fmt::format("{}{}", kMountPrefix, key);
      if (!is_it || is_table) continue;
      (IsPart(option) ? parts : tables).push_back(NameOfTable(option));
    }
    return fmt::format("{}", fmt::join(tables.empty() ? parts : tables, " or "));
  }

  static Option AsOne(const Option& option) {
    Option one = option;
    one.shape = Shape::kOne;
    return one;
  }

  template <typename Node>
  std::string SourceAt(const Node& node) const {
    return fmt::format("{}:{}", file_, node.source().begin.line);
  }

  template <typename Node>
  void Mistake(const Node& node, const std::string& what) {
    layer_.mistakes.push_back(fmt::format("{}: {}", SourceAt(node), what));
  }

  void MistakeUnknown(const toml::key& key,
                      const std::string& place,
                      std::string_view what,
                      const std::vector<std::string_view>& names,
                      const std::string& belongs_to = "") {
    if (!belongs_to.empty()) {
      Mistake(key, fmt::format("{}: {}; it belongs to {}", place, what, belongs_to));
      return;
    }
    const std::string_view meant = NearestName(key.str(), names);
    Mistake(key,
            meant.empty()
                ? fmt::format("{}: {}; there are: {}", place, what, fmt::join(names, ", "))
                : fmt::format("{}: {}; did you mean {}?", place, what, Quoted(meant)));
  }

  const std::string& file_;
  const std::string& folder_;
  Layer layer_;
};

}  // namespace

Layer ReadToml(std::string_view text, const std::string& file, const std::string& folder) {
  try {
    Layer layer = Reader(file, folder).Read(toml::parse(text));
    // toml++ sorts its tables; people read from the top.
    const auto line = [&file](const std::string& mistake) {
      return std::strtoul(mistake.c_str() + file.size() + 1, nullptr, 10);
    };
    std::stable_sort(layer.mistakes.begin(),
                     layer.mistakes.end(),
                     [&line](const auto& a, const auto& b) { return line(a) < line(b); });
    return layer;
  } catch (const toml::parse_error& error) {
    return {
        {},
        {fmt::format("{}:{}: not TOML: {}", file, error.source().begin.line, error.description())}};
  }
}

}  // namespace onebox::main
