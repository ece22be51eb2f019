#include "main/toml_file.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/nearest.h"
#include "front/header_rules.h"
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
    const bool written_bare = option.kind == Kind::kBool || option.kind == Kind::kInteger;
    if (written_bare && !is_word) return std::nullopt;
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
      ReadOption(*option, node, Place(*option), option->name, layer_.settings);
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
        ReadOption(*option, node, Place(*option), option->name, layer_.settings);
        continue;
      }
      MistakeUnknown(key,
                     fmt::format("[{}] {}", name, key.str()),
                     "there is no such key",
                     KeysOfTable(name),
                     WhereItBelongs(key.str()));
    }
  }

  // Into `into` by `name`.
  void ReadOption(const Option& option,
                  const toml::node& node,
                  const std::string& place,
                  std::string_view name,
                  Settings& into) {
    const auto set = [&](std::optional<std::vector<Element>> elements) {
      if (elements) into[std::string(name)] = std::move(*elements);
    };
    const auto set_only = [&](std::optional<Element> element) {
      if (element) into[std::string(name)] = {std::move(*element)};
    };
    switch (option.shape) {
      case Shape::kOne:
        set_only(ReadValue(option, node, place));
        return;
      case Shape::kList:
        set(ReadList(option, node, place));
        return;
      case Shape::kMap:
      case Shape::kMounts:
        set(ReadMap(option, node, place));
        return;
      case Shape::kTable:
        set_only(ReadKeysOf(option, node, place));
        return;
      case Shape::kTables:
        set(ReadTables(option, node, place));
        return;
    }
  }

  std::optional<std::vector<Element>> ReadTables(const Option& option,
                                                 const toml::node& node,
                                                 const std::string& place) {
    const auto* list = node.as_array();
    if (list == nullptr) {
      Mistake(node, fmt::format("{}: expected {}, got {}", place, option.expected(), Shown(node)));
      return std::nullopt;
    }
    std::vector<Element> elements;
    for (const toml::node& one : *list) {
      if (auto element = ReadKeysOf(option, one, IsPart(option) ? place : PlaceOfTables(option))) {
        elements.push_back(std::move(*element));
      }
    }
    return elements;
  }

  static std::string PlaceOfTables(const Option& option) {
    return fmt::format("[[{}]]", option.name);
  }

  // A table, one of several, or a mount; or what stands for it.
  std::optional<Element> ReadKeysOf(const Option& option,
                                    const toml::node& node,
                                    const std::string& place) {
    const auto rows = RowsOf(option);
    const auto* table = node.as_table();
    if (table != nullptr) return ReadRows(rows, *table, place);
    const bool may_stand_for_it = option.shape != Shape::kTables && IsRequired(*rows.front());
    if (may_stand_for_it && TextIn(*rows.front(), node)) {
      return ReadValue(*rows.front(), node, place);
    }
    const std::string expected = option.shape == Shape::kTables ? "a table" : option.expected();
    Mistake(node, fmt::format("{}: expected {}, got {}", place, expected, Shown(node)));
    return std::nullopt;
  }

  std::optional<Element> ReadRows(const std::vector<const Option*>& rows,
                                  const toml::table& table,
                                  const std::string& place) {
    Element found{"", "", SourceAt(table)};
    for (const auto& [key, node] : table) {
      const Option* row = WithKey(rows, key.str());
      const std::string at = fmt::format("{} {}", place, key.str());
      if (row == nullptr) {
        MistakeUnknown(key, at, "there is no such key", KeysOf(rows), WhereItBelongs(key.str()));
      } else {
        ReadOption(*row, node, at, key.str(), found.more);
      }
    }
    for (const Option* row : rows) {
      if (!IsRequired(*row) || found.more.contains(row->key())) continue;
      if (!table.contains(row->key())) {
        Mistake(table, fmt::format("{}: expected {}", place, row->key()));
      }
      return std::nullopt;
    }
    TakeFirst(*rows.front(), found);
    return found;
  }

  static const Option* WithKey(const std::vector<const Option*>& rows, std::string_view key) {
    const auto found = std::find_if(
        rows.begin(), rows.end(), [key](const Option* row) { return row->key() == key; });
    return found == rows.end() ? nullptr : *found;
  }

  static bool IsRequired(const Option& row) { return row.found == kMustBeGiven; }

  // A first value that must be there is what the others stand beside.
  static void TakeFirst(const Option& first, Element& table) {
    if (!IsRequired(first) || first.shape != Shape::kOne) return;
    const auto found = table.more.find(first.key());
    table.text = std::move(found->second.front().text);
    table.source = std::move(found->second.front().source);
    table.more.erase(found);
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

  std::optional<std::vector<Element>> ReadList(const Option& option,
                                               const toml::node& node,
                                               const std::string& place) {
    const auto* list = node.as_array();
    const bool needs_one = option.kind == Kind::kAddress || IsPart(option);
    if (list == nullptr || (list->empty() && needs_one)) {
      Mistake(node,
              fmt::format("{}: expected {}, got {}",
                          place,
                          option.expected(),
                          list == nullptr ? Shown(node) : "an empty one"));
      return std::nullopt;
    }
    std::vector<Element> elements;
    for (const toml::node& one : *list) {
      if (auto element = ReadValue(option, one, place)) {
        elements.push_back(std::move(*element));
      }
    }
    // Where not one of them is right it is as if not said.
    if (elements.empty() && !list->empty()) return std::nullopt;
    return elements;
  }

  std::optional<std::vector<Element>> ReadMap(const Option& option,
                                              const toml::node& node,
                                              const std::string& place) {
    const auto* map = node.as_table();
    if (map == nullptr) {
      Mistake(node, fmt::format("{}: expected a table, got {}", place, Shown(node)));
      return std::nullopt;
    }
    std::vector<Element> elements;
    for (const auto& [key, value] : *map) {
      auto element = option.shape == Shape::kMounts ? ReadMount(option, key, value, place)
                                                    : ReadVariable(option, key, value, place);
      if (!element) continue;
      element->name = key.str();
      elements.push_back(std::move(*element));
    }
    return elements;
  }

  std::optional<Element> ReadVariable(const Option& option,
                                      const toml::key& key,
                                      const toml::node& value,
                                      const std::string& place) {
    const auto known = SplitWords(option.keys, ',');
    if (!known.empty() && std::find(known.begin(), known.end(), key.str()) == known.end()) {
      MistakeUnknown(key, fmt::format("{} {}", place, key.str()), "there is no such key", known);
      return std::nullopt;
    }
    if (option.kind == Kind::kFieldValue && !front::IsFieldForRules(key.str())) {
      Mistake(key,
              fmt::format("{} {}: expected the name of a field that is not the connection's own",
                          place,
                          Quoted(key.str())));
      return std::nullopt;
    }
    if (key.str().empty() ||
        key.str().find_first_of(std::string_view("=\0", 2)) != key.str().npos) {
      Mistake(key, fmt::format("{} {}: expected the name of a variable", place, Quoted(key.str())));
      return std::nullopt;
    }
    return ReadValue(option, value, fmt::format("{} {}", place, key.str()));
  }

  std::optional<Element> ReadMount(const Option& option,
                                   const toml::key& key,
                                   const toml::node& value,
                                   const std::string& mounts) {
    const std::string place = fmt::format(
        "{} {}", IsPart(option) ? mounts : fmt::format("[{}]", mounts), Quoted(key.str()));
    if (const auto wrong = WrongPrefix(key.str())) {
      Mistake(key, fmt::format("{}: {}", place, *wrong));
      return std::nullopt;
    }
    return ReadKeysOf(option, value, place);
  }

  // --- what is wrong ---------------------------------------------------------

  static std::vector<std::string_view> NamesOfTables() {
    std::vector<std::string_view> names;
    for (const Option& option : Options()) {
      const std::string_view name =
          option.table().empty() && HasRows(option) ? option.key() : option.table();
      if (IsPart(option) || name.empty()) continue;
      if (names.empty() || names.back() != name) names.push_back(name);
    }
    return names;
  }

  static std::vector<std::string_view> KeysOfTable(std::string_view name) {
    std::vector<std::string_view> keys;
    for (const Option& option : Options()) {
      if (option.table() == name) keys.push_back(option.key());
    }
    return keys;
  }

  static std::vector<std::string_view> KeysOf(const std::vector<const Option*>& rows) {
    std::vector<std::string_view> keys(rows.size());
    std::transform(
        rows.begin(), rows.end(), keys.begin(), [](const Option* row) { return row->key(); });
    return keys;
  }

  // Of one that has rows, "[[route]]" or "cache of [[route]]"; of all others "[front]".
  static std::string NameOfTable(std::string_view name) {
    const Option* table = FindOption(name);
    if (table == nullptr) return fmt::format("[{}]", name);
    if (table->shape == Shape::kMounts) return "a prefix of [static]";
    const bool in_another = IsPart(*table) || table->shape == Shape::kTable;
    return in_another ? fmt::format("{} of {}", table->key(), NameOfTable(table->table()))
                      : PlaceOfTables(*table);
  }

  // "[front] or [admin]"; empty where no table has such a key. The keys of one of several tables
  // count where no other has it.
  static std::string WhereItBelongs(std::string_view key) {
    std::vector<std::string> tables, parts;
    for (const Option& option : Options()) {
      if (option.key() != key || HasRows(option)) continue;
      if (option.table().empty()) return "no table: it stands before the first";
      (IsPart(option) ? parts : tables).push_back(NameOfTable(option.table()));
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
