#include "main/reference.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "main/words.h"

namespace onebox::main {
namespace {

constexpr std::string_view kHelp =
    R"help(onebox runs a Python web app in production on one server.

  onebox run [TARGET] [options]     serve the app, in the foreground
  onebox check [PATH...]            find what breaks or misleads in the app's source
  onebox status [--state DIR]       ask the running box how it is
  onebox reload [--state DIR]       let it read its settings and load its app anew
  onebox upgrade [--state DIR]      put the program on the disk in the running one's place
  onebox stop [--state DIR]         let it finish what has begun, and end
  onebox cache [get KEY | ...]      look into its cache; delete, purge, clear
  onebox purge URL | --tag TAG      forget answers that the front keeps
  onebox tasks [show ID | ...]      look at its tasks; retry, cancel, purge, pause, resume
  onebox jobs [history | ...]       look at its jobs; run, pause, resume
  onebox certificates [renew NAME]  look at those that it obtains; ask for another one now
  onebox reference options          every option, in Markdown; gunicorn: Gunicorn's settings;
                                    check: what onebox check finds
  onebox version                    the version
  onebox help                       this text; onebox run --help for the options of run

  onebox run "app:create_app()"     is all that a folder with a Flask app needs
)help";

constexpr std::string_view kRunHelpHead =
    R"(onebox run [TARGET] [options]: serves a WSGI app, in the foreground.

)";

constexpr std::string_view kCheckHelpHead =
    R"(onebox check [PATH...] [options]: reads the app's source, and tells what breaks or misleads on several
workers, with the lines that mend it. A PATH is a file or a folder; without one it is app.chdir. The
app is not imported. A comment "# onebox: ignore[RULE]" keeps a line from being told.

)";

constexpr std::string_view kCheckHelpTail =
    R"(
The exit status is 0 where nothing is found, 1 where something is, 2 where a file cannot be read.
onebox reference check lists the rules.
)";

struct Verb {
  std::string_view flag, help;
};
constexpr std::array kVerbsOfCheck = {
    Verb{"-c, --config FILE", "As of run: for the number of workers, and the app's Python."},
    Verb{"--json", "Print what is found as JSON."},
    Verb{"-h, --help", "Print this text, and end."},
};
constexpr std::array kVerbs = {
    Verb{
        "-c, --config FILE",
        "The file of options, or Gunicorn's: FILE.py or python:MODULE. [onebox.toml in the current "
        "folder, if there]"},
    Verb{"--check-config", "Say what is wrong with the options, or that nothing is, and end."},
    Verb{"--print-config", "Print every setting with its source, and end."},
    Verb{"-h, --help", "Print this text, and end."},
};

// What is in force where nobody has said anything.
std::string DefaultText(const Option& option) {
  return std::string(option.standard.empty() ? option.found : option.standard);
}

std::string FlagAndForm(const Option& option) {
  if (option.flag == option.form || option.form.empty()) return std::string(option.flag);
  return fmt::format("{} {}", option.flag, option.form);
}

// The flag, and beside it the help in lines that a terminal holds.
void AppendRow(std::string& text, std::string_view flag, std::string_view help) {
  constexpr std::size_t kColumn = 28;
  constexpr std::size_t kWidth = 98 - kColumn;
  std::string left = fmt::format("  {} ", flag);
  if (left.size() > kColumn) text += std::exchange(left, "") + '\n';
  while (!help.empty()) {
    std::size_t size = help.size() <= kWidth ? help.size() : help.rfind(' ', kWidth);
    if (size == std::string_view::npos) size = help.size();
    text += fmt::format("{:<{}}{}\n", std::exchange(left, ""), kColumn, help.substr(0, size));
    help.remove_prefix(std::min(size + 1, help.size()));
  }
}

void AppendOption(std::string& text, const Option& option) {
  const std::string standard = DefaultText(option);
  const std::string shown = standard.empty() ? "" : fmt::format(" [{}]", standard);
  AppendRow(text, FlagAndForm(option), fmt::format("{}{}", option.help, shown));
}

// A value as it stands in the file.
std::string Toml(const Option& option, std::string_view text) {
  const bool number = option.kind == Kind::kInteger && !text.empty() && text.front() <= '9';
  const bool truth = option.kind == Kind::kBool && (text == "true" || text == "false");
  return number || truth ? std::string(text) : Quoted(text);
}

std::string TomlList(const Option& option, const std::vector<Element>& elements) {
  std::vector<std::string> values;
  values.reserve(elements.size());
  for (const Element& element : elements) {
    values.push_back(option.shape == Shape::kMap
                         ? fmt::format("{} = {}", Quoted(element.name), Quoted(element.text))
                         : Toml(option, element.text));
  }
  const auto all = fmt::format("{}", fmt::join(values, ", "));
  if (option.shape == Shape::kList) return fmt::format("[{}]", all);
  return all.empty() ? "{}" : fmt::format("{{ {} }}", all);
}

std::string Sources(const std::vector<Element>& elements) {
  std::vector<std::string> sources;
  for (const Element& element : elements) {
    if (std::find(sources.begin(), sources.end(), element.source) == sources.end()) {
      sources.push_back(element.source);
    }
  }
  return sources.empty() ? "default" : fmt::format("{}", fmt::join(sources, ", "));
}

std::string Line(std::string_view key, std::string_view value, std::string_view source) {
  return fmt::format("{:<50}  # {}\n", fmt::format("{} = {}", key, value), source);
}

// A value or a list of them as it stands in the file.
std::string TomlOf(const Option& option, const std::vector<Element>& elements) {
  return option.shape == Shape::kOne ? Toml(option, elements.front().text)
                                     : TomlList(option, elements);
}

std::vector<Element> StandardOf(const Option& option) {
  if (option.shape == Shape::kOne) return {{"", std::string(option.standard), "default"}};
  std::vector<Element> elements;
  for (const std::string_view word : SplitWords(option.standard, ',')) {
    elements.push_back({"", std::string(word), "default"});
  }
  return elements;
}

// A key of a table or of a mount that is not set: what is in force instead.
std::string PrintUnset(const Option& row, const Settings& settings) {
  if (!row.standard.empty()) return Line(row.key(), TomlOf(row, StandardOf(row)), "default");
  const Option* of_all = FindOption(row.found);  // "app.timeout"
  if (of_all == nullptr) return fmt::format("# {}: {}\n", row.key(), row.found);
  const auto found = settings.find(row.found);
  if (HasRows(*of_all) || found == settings.end() || found->second.empty()) {
    return fmt::format("# {}: as {}\n", row.key(), row.found);
  }
  return Line(row.key(), TomlOf(row, found->second), fmt::format("as {}", row.found));
}

std::string PrintTables(const Option& option,
                        const std::string& path,
                        const std::vector<Element>& elements,
                        const Settings& settings);

// The keys of one table, each in a line of its own, and then the tables in it: what follows one of
// those would be of that.
std::string PrintRows(const Option& option,
                      const std::string& path,
                      const Element& table,
                      const Settings& settings) {
  std::string text, tables;
  const auto rows = RowsOf(option);
  const bool first_is_text =
      rows.front()->shape == Shape::kOne && rows.front()->found == kMustBeGiven;
  for (const Option* row : rows) {
    const auto found = table.more.find(row->key());
    if (row == rows.front() && first_is_text) {
      text += Line(row->key(), Toml(*row, table.text), table.source);
    } else if (found == table.more.end() || found->second.empty()) {
      text += PrintUnset(*row, settings);
    } else if (HasRows(*row)) {
      tables += PrintTables(*row, fmt::format("{}.{}", path, row->key()), found->second, settings);
    } else {
      text += Line(row->key(), TomlOf(*row, found->second), Sources(found->second));
    }
  }
  return text + tables;
}

// A table, several or mounts, each with its heading, which is made of `path`.
std::string PrintTables(const Option& option,
                        const std::string& path,
                        const std::vector<Element>& elements,
                        const Settings& settings) {
  std::string text;
  for (const Element& table : elements) {
    std::string heading = fmt::format("[{}]", path);
    if (option.shape == Shape::kMounts) heading = fmt::format("[{}.{}]", path, Quoted(table.name));
    if (option.shape == Shape::kTables) heading = fmt::format("[{}]", heading);
    text += fmt::format("\n{}\n{}", heading, PrintRows(option, path, table, settings));
  }
  return text;
}

// One that has no rows.
std::string PrintOption(const Option& option, const std::vector<Element>& elements) {
  if (option.shape == Shape::kOne && elements.empty()) {
    return fmt::format("# {}: {}\n", option.key(), option.found);
  }
  return Line(option.key(), TomlOf(option, elements), Sources(elements));
}

std::string InMarkdown(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c;
  }
  return safe;
}

std::string Code(std::string_view text) {
  return text.empty() ? "" : fmt::format("`{}`", InMarkdown(text));
}

constexpr std::string_view kPageHead = R"(# Options

Everything that can be set, and what it is without being set. `onebox reference options` prints this
page; `onebox run --print-config` prints what is in force and who has set it.

- **The file** is TOML: `onebox.toml` in the current folder, or `-c FILE`. Relative folders in it
  count from the file's folder.
- **A variable** is `ONEBOX_` and the option's name in capitals: `ONEBOX_APP_WORKERS=4`. Lists and
  `NAME=VALUE` pairs are separated by commas.
- **The command line** has a flag for some. It goes over the variable, the variable over the file, the
  file over the default. `--env` and `--static` add to what the file says.
- Sizes are bytes or `"16 MiB"`, times are seconds or `"30s"`, `"250ms"`, `"5m"`, `"2h"`, `"1d"`.
)";

std::string Heading(const Option& option, std::string_view table) {
  if (table.empty()) return "Before any table";
  const std::string heading = fmt::format("[{}]", table);
  return option.shape == Shape::kTables ? fmt::format("[{}]", heading) : heading;
}

std::string PageRow(const Option& option) {
  const std::string standard =
      option.standard.empty() ? std::string(option.found) : Code(option.standard);
  return fmt::format("| `{}` | {} | {} | {} | {} |\n",
                     option.name,
                     InMarkdown(option.expected()),
                     standard,
                     option.flag.empty() ? "" : Code(FlagAndForm(option)),
                     InMarkdown(option.help));
}

}  // namespace

std::string Help() {
  return std::string(kHelp);
}

std::string RunHelp() {
  std::string text(kRunHelpHead);
  for (const Option& option : Options()) {
    if (!option.flag.empty()) AppendOption(text, option);
  }
  text += '\n';
  for (const Verb& verb : kVerbs) {
    AppendRow(text, verb.flag, verb.help);
  }
  text +=
      "\nWhat stands in [ ] is the default. More is set in onebox.toml: onebox reference "
      "options.\n";
  return text;
}

std::string CheckHelp() {
  std::string text(kCheckHelpHead);
  for (const Option& option : Options()) {
    if (IsOfCheck(option)) AppendOption(text, option);
  }
  for (const Verb& verb : kVerbsOfCheck) {
    AppendRow(text, verb.flag, verb.help);
  }
  return text += kCheckHelpTail;
}

std::string OptionsPage() {
  constexpr std::string_view kColumns =
      "| option | value | default | flag | |\n|---|---|---|---|---|\n";
  std::string page(kPageHead);
  std::string_view table = "none yet";
  for (const Option& option : Options()) {
    const bool has_section = HasRows(option) && option.rows.empty();
    const std::string_view its_table = has_section ? option.name : option.table();
    if (its_table != table) {
      table = its_table;
      page += fmt::format("\n## {}\n\n{}", Heading(option, table), kColumns);
    }
    page += PageRow(option);
  }
  return page;
}

std::string PrintSettings(const Settings& settings) {
  std::string text, tables;  // `tables`: those in the present one, which come behind its keys
  std::string_view table;
  for (const Option& option : Options()) {
    if (IsPart(option)) continue;
    if (option.table() != table) {
      table = option.table();
      text += std::exchange(tables, "");
      if (!table.empty()) text += fmt::format("\n[{}]\n", table);
    }
    const auto found = settings.find(option.name);
    const auto elements = found == settings.end() ? std::vector<Element>() : found->second;
    if (!HasRows(option)) {
      text += PrintOption(option, elements);
    } else if (option.shape == Shape::kMounts && elements.empty()) {
      text += fmt::format("\n[{}]\n", option.name);
    } else {
      tables += PrintTables(option, std::string(option.name), elements, settings);
    }
  }
  return text + tables;
}

}  // namespace onebox::main
