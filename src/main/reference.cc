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
  onebox status [--state DIR]       ask the running box how it is
  onebox reload [--state DIR]       let it read its settings and load its app anew
  onebox upgrade [--state DIR]      put the program on the disk in the running one's place
  onebox stop [--state DIR]         let it finish what has begun, and end
  onebox reference options          every option, in Markdown; gunicorn: Gunicorn's settings
  onebox version                    the version
  onebox help                       this text; onebox run --help for the options of run

  onebox run "app:create_app()"     is all that a folder with a Flask app needs
)help";

constexpr std::string_view kRunHelpHead =
    R"(onebox run [TARGET] [options]: serves a WSGI app, in the foreground.

)";

struct Verb {
  std::string_view flag, help;
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

// A value as it stands in the file.
std::string Toml(const Option& option, std::string_view text) {
  const bool number = option.kind == Kind::kInteger && !text.empty() && text.front() <= '9';
  return number || option.kind == Kind::kBool ? std::string(text) : Quoted(text);
}

std::string TomlMount(const Element& mount) {
  std::string text = fmt::format("{{ dir = {}", Quoted(mount.text));
  for (const auto& [key, value] : mount.more) {
    const Option* option = FindOption(fmt::format("{}{}", kMountPrefix, key));
    text += fmt::format(", {} = {}", key, Toml(*option, value));
  }
  return text + " }";
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

// One table of several, each key in a line of its own.
std::string PrintTable(const Option& option, const Element& element) {
  const std::string prefix = fmt::format("{}.", option.name);
  std::string text = fmt::format("\n[[{}]]\n", option.name);
  bool first = true;
  for (const Option& row : Options()) {
    if (!row.name.starts_with(prefix)) continue;
    const auto more = element.more.find(std::string(row.key()));
    if (std::exchange(first, false)) {
      text += Line(row.key(), Toml(row, element.text), element.source);
    } else if (more != element.more.end() && row.shape == Shape::kList) {
      std::vector<Element> words;
      for (const std::string_view word : SplitWords(more->second, ',')) {
        words.push_back({"", std::string(word), element.source});
      }
      text += Line(row.key(), TomlList(row, words), element.source);
    } else if (more != element.more.end()) {
      text += Line(row.key(), Toml(row, more->second), element.source);
    }
  }
  return text;
}

std::string PrintOption(const Option& option, const std::vector<Element>& elements) {
  if (option.shape == Shape::kTables) {
    std::string text;
    for (const Element& element : elements) {
      text += PrintTable(option, element);
    }
    return text;
  }
  if (option.shape == Shape::kMounts) {
    std::string text = "\n[static]\n";
    for (const Element& mount : elements) {
      text += Line(Quoted(mount.name), TomlMount(mount), mount.source);
    }
    return text;
  }
  if (option.shape != Shape::kOne) {
    return Line(option.key(), TomlList(option, elements), Sources(elements));
  }
  if (!elements.empty()) {
    const Element& only = elements.front();
    return Line(option.key(), Toml(option, only.text), only.source);
  }
  return fmt::format("# {}: {}\n", option.key(), option.found);
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
    if (option.flag.empty()) continue;
    const std::string standard = DefaultText(option);
    const std::string shown = standard.empty() ? "" : fmt::format(" [{}]", standard);
    AppendRow(text, FlagAndForm(option), fmt::format("{}{}", option.help, shown));
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

std::string OptionsPage() {
  constexpr std::string_view kColumns =
      "| option | value | default | flag | |\n|---|---|---|---|---|\n";
  std::string page(kPageHead);
  std::string_view table = "none yet";
  for (const Option& option : Options()) {
    const bool is_table = option.shape == Shape::kMounts || option.shape == Shape::kTables;
    const std::string_view its_table = is_table ? option.name : option.table();
    if (its_table != table) {
      table = its_table;
      page += fmt::format("\n## {}\n\n{}", Heading(option, table), kColumns);
    }
    page += PageRow(option);
  }
  return page;
}

std::string PrintSettings(const Settings& settings) {
  std::string text;
  std::string_view table;
  for (const Option& option : Options()) {
    if (IsPart(option)) continue;
    if (option.table() != table) {
      table = option.table();
      if (!table.empty()) text += fmt::format("\n[{}]\n", table);
    }
    const auto found = settings.find(option.name);
    text += PrintOption(option, found == settings.end() ? std::vector<Element>() : found->second);
  }
  return text;
}

}  // namespace onebox::main
