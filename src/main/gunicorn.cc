#include "main/gunicorn.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "main/facts.h"
#include "main/python.h"
#include "main/written.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kFile = "file:";
constexpr std::string_view kModule = "python:";

constexpr std::string_view kPageHead = R"(# Gunicorn's settings

Each setting of Gunicorn, and what `onebox run -c gunicorn.conf.py` makes of it. `onebox reference
gunicorn` prints this page; [gunicorn.md](gunicorn.md) says how to move.

- **honoured**: it does what it did.
- **mapped**: an option of Onebox takes its value, or it does nearly what it did.
- **ignored**: it has no effect, and why that is right, or not offered.
- **refused**: with a value that asks for it, the start ends with exit status 2.
)";

Error BrokenAnswer(std::string_view what) {
  return {Blame::kSystem,
          Retry::kNever,
          0,
          fmt::format("the Python side's answer on the Gunicorn file is broken: {}", what)};
}

// --- the parts of the answer; nothing where one is not of its form ----------------

const json* Member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::string> Text(const json& object, const char* name) {
  const json* member = Member(object, name);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return member->get<std::string>();
}

std::optional<std::vector<std::string>> Texts(const json& object, const char* name) {
  const json* member = Member(object, name);
  if (member == nullptr || !member->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const json& text : *member) {
    if (!text.is_string()) return std::nullopt;
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::optional<GunicornLine> ParseLine(const json& object) {
  const auto source = Text(object, "source");
  const auto name = Text(object, "name");
  const auto value = Text(object, "value");
  const auto verdict = Text(object, "verdict");
  const auto why = Text(object, "why");
  const json* tells = Member(object, "tells");
  if (!source || !name || !value || !verdict || !why) return std::nullopt;
  if (tells == nullptr || !tells->is_boolean()) return std::nullopt;
  return GunicornLine{*source, *name, *value, *verdict, *why, tells->get<bool>()};
}

std::optional<GunicornRemark> ParseRemark(const json& object) {
  const auto source = Text(object, "source");
  const auto text = Text(object, "text");
  if (!source || !text) return std::nullopt;
  return GunicornRemark{*source, *text};
}

template <typename Part, typename Parse>
Result<std::vector<Part>> ParseAll(const json& answer, const char* name, const Parse& parse) {
  const json* list = Member(answer, name);
  if (list == nullptr || !list->is_array()) return BrokenAnswer(name);
  std::vector<Part> parts;
  for (const json& one : *list) {
    auto part = parse(one);
    if (!part) return BrokenAnswer(name);
    parts.push_back(std::move(*part));
  }
  return parts;
}

// A value for one of our options, checked as any other that is written.
Status TakeSetting(const json& object, const std::string& chdir, Layer& layer) {
  const auto name = Text(object, "option");
  const auto values = Texts(object, "values");
  const auto source = Text(object, "source");
  if (!name || !values || !source) return BrokenAnswer("settings");
  const Option* option = FindOption(*name);
  if (option == nullptr || HasRows(*option) || IsPart(*option) ||
      (option->shape == Shape::kOne && values->size() != 1)) {
    return BrokenAnswer(*name);
  }
  TakeWritten(
      *option,
      std::vector<std::string_view>(values->begin(), values->end()),
      {.place = fmt::format("{}: {}", *source, Place(*option)), .source = *source, .folder = chdir},
      layer);
  return Done();
}

// "workers = 9", or of a function "def post_fork(server, worker)".
std::string Assignment(const GunicornLine& line) {
  const bool defined = line.value.starts_with("def " + line.name + "(");
  return defined ? line.value : fmt::format("{} = {}", line.name, line.value);
}

void AppendRemarks(std::string& text,
                   std::string_view title,
                   const std::vector<GunicornRemark>& remarks) {
  if (remarks.empty()) return;
  text += fmt::format("#\n# {}:\n", title);
  for (const GunicornRemark& remark : remarks) {
    text += fmt::format("# {}: {}\n", remark.source, remark.text);
  }
}

std::ptrdiff_t CountOf(const GunicornFile& file, std::string_view verdict) {
  return std::count_if(file.lines.begin(), file.lines.end(), [verdict](const GunicornLine& line) {
    return line.verdict == verdict;
  });
}

}  // namespace

bool IsGunicornFile(std::string_view asked_for) {
  return asked_for.ends_with(".py") || asked_for.starts_with(kFile) ||
         asked_for.starts_with(kModule);
}

std::string GunicornLocation(const std::string& asked_for, const std::string& folder) {
  if (asked_for.starts_with(kModule)) return asked_for;
  const bool prefixed = asked_for.starts_with(kFile);
  return PathFrom(folder, prefixed ? asked_for.substr(kFile.size()) : asked_for);
}

os::Asked<Result<GunicornFile>> AskGunicornFile(const std::string& asked_for,
                                                const std::string& folder,
                                                const GunicornReader& reader) {
  const plan::MachineFacts facts = ReadMachineFacts();
  const bool prefixed = asked_for.starts_with(kFile);
  auto answer = AskPython(
      {.python = reader.python,
       .python_side = reader.python_side,
       .words = {"gunicorn",
                 "--file",
                 GunicornLocation(asked_for, folder),
                 "--name",
                 prefixed ? asked_for.substr(kFile.size()) : asked_for,
                 "--chdir",
                 reader.chdir,
                 "--cores",
                 std::to_string(std::max(
                     1U, facts.physical_cores == 0 ? facts.logical_cores : facts.physical_cores)),
                 "--planned-workers",
                 std::to_string(plan::PlanWorkers(facts).workers)},
       .environment = reader.environment});
  const auto take =
      [chdir = reader.chdir](const Result<PythonAnswer>& answered) -> Result<GunicornFile> {
    if (!answered.ok()) return answered.error();
    GunicornFile file = TRY(ParseGunicornAnswer(answered.value().text, chdir));
    file.printed = answered.value().printed;
    return file;
  };
  return std::move(answer).Then(take);
}

Result<GunicornFile> ParseGunicornAnswer(std::string_view answer, const std::string& chdir) {
  const json parsed = json::parse(answer, nullptr, false);
  if (parsed.is_discarded() || !parsed.is_object()) return BrokenAnswer("it is no JSON object");
  GunicornFile file;
  const json* settings = Member(parsed, "settings");
  if (settings == nullptr || !settings->is_array()) return BrokenAnswer("settings");
  for (const json& setting : *settings) {
    TRY(TakeSetting(setting, chdir, file.layer));
  }
  file.lines = TRY(ParseAll<GunicornLine>(parsed, "lines", ParseLine));
  file.advice = TRY(ParseAll<GunicornRemark>(parsed, "advice", ParseRemark));
  file.unknown = TRY(ParseAll<GunicornRemark>(parsed, "unknown", ParseRemark));
  const auto mistakes = Texts(parsed, "mistakes");
  if (!mistakes) return BrokenAnswer("mistakes");
  file.layer.mistakes.insert(file.layer.mistakes.end(), mistakes->begin(), mistakes->end());
  return file;
}

std::string PrintGunicorn(const GunicornFile& file) {
  std::string text = "\n# What became of Gunicorn's settings:\n";
  std::size_t width = 0;
  for (const GunicornLine& line : file.lines) {
    width = std::max(width, line.source.size() + 2 + Assignment(line).size());
  }
  for (const GunicornLine& line : file.lines) {
    text += fmt::format("# {:<{}}  {:<8}  {}\n",
                        fmt::format("{}  {}", line.source, Assignment(line)),
                        width,
                        line.verdict,
                        line.why);
  }
  if (file.lines.empty()) text += "# none is set\n";
  AppendRemarks(text, "Names that Gunicorn does not know", file.unknown);
  AppendRemarks(text, "Advice", file.advice);
  return text;
}

std::vector<std::string> GunicornStartLines(const GunicornFile& file, const std::string& shown) {
  std::vector<std::string> lines = {
      fmt::format("gunicorn  {}: {} settings, {} honoured, {} mapped, {} ignored; --print-config "
                  "tells each",
                  shown,
                  file.lines.size(),
                  CountOf(file, "honoured"),
                  CountOf(file, "mapped"),
                  CountOf(file, "ignored"))};
  for (const GunicornLine& line : file.lines) {
    if (!line.tells) continue;
    lines.push_back(
        fmt::format("          {} {}: {}: {}", line.source, line.name, line.verdict, line.why));
  }
  for (const GunicornRemark& remark : file.unknown) {
    lines.push_back(fmt::format("          {} {}", remark.source, remark.text));
  }
  return lines;
}

Result<std::string> GunicornPage(const GunicornReader& reader) {
  const PythonAnswer answer =
      TRY(os::WaitForAnswer(AskPython({.python = reader.python,
                                       .python_side = reader.python_side,
                                       .words = {"gunicorn-page"},
                                       .environment = reader.environment})));
  const json parsed = json::parse(answer.text, nullptr, false);
  if (!parsed.is_string()) return BrokenAnswer("it is no text");
  return fmt::format("{}{}", kPageHead, parsed.get<std::string>());
}

}  // namespace onebox::main
