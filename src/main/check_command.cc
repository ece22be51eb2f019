#include "main/check_command.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "main/command_line.h"
#include "main/facts.h"
#include "main/python.h"
#include "main/reference.h"
#include "os/process.h"
#include "plan/workers.h"

namespace onebox::main {
namespace {

constexpr int kMistaken = 2;
constexpr std::string_view kAuto = "auto";

// How many workers `onebox run` would begin with: as set, or as planned within what is set.
unsigned WorkersAsRun(const Settings& settings) {
  const auto number = [&settings](std::string_view name, unsigned otherwise) {
    const std::string text = TextOf(settings, name);
    if (text == kAuto) return otherwise;
    std::from_chars(text.data(), text.data() + text.size(), otherwise);
    return otherwise;
  };
  const unsigned planned = plan::PlanWorkers(ReadMachineFacts()).workers;
  const unsigned most =
      number("app.workers_max", std::max(planned, number("app.workers_min", planned)));
  const unsigned least = std::min(number("app.workers_min", planned), most);
  return number("app.workers", std::clamp(planned, least, most));
}

// Returns only where it cannot be.
int BecomePython(const Layer& as_run, const Caller& caller, std::vector<std::string> words) {
  const auto python_side = FindPythonSide(caller.program);
  if (!python_side.ok()) {
    std::cerr << fmt::format("onebox: {}\n", python_side.error().message);
    return kMistaken;
  }
  os::Command command{
      .words = {TextOf(as_run.settings, "app.python"), python_side.value(), "check"},
      .environment = caller.environment};
  command.words.insert(command.words.end(), words.begin(), words.end());
  if (const auto variables = as_run.settings.find("app.env"); variables != as_run.settings.end()) {
    for (const Element& variable : variables->second) {
      command.environment[variable.name] = variable.text;
    }
  }
  std::cerr << fmt::format("onebox: {}\n", os::Execute(command).message);
  return kMistaken;
}

// A folder as who is in `from` would name it.
std::string Shown(const std::string& folder, const std::string& from) {
  if (folder == from) return ".";
  return folder.starts_with(from + "/") ? folder.substr(from.size() + 1) : folder;
}

int TellMistakes(const Mistakes& mistakes) {
  for (const std::string& mistake : mistakes) {
    std::cerr << mistake << '\n';
  }
  return kMistaken;
}

}  // namespace

int CheckApp(std::span<const std::string> words, const Caller& caller) {
  const CheckLine line = ReadCheckLine(words, caller.folder);
  if (line.help) {
    std::cout << CheckHelp();
    return 0;
  }
  const Layer as_run = SettingsAsRun(line.run, caller);
  for (const std::string& warning : as_run.warnings) {
    std::cerr << fmt::format("onebox: {}\n", warning);
  }
  if (!as_run.mistakes.empty()) return TellMistakes(as_run.mistakes);
  std::vector<std::string> told = {"--workers", std::to_string(WorkersAsRun(as_run.settings))};
  if (line.json) told.emplace_back("--json");
  told.emplace_back("--");
  told.insert(told.end(), line.paths.begin(), line.paths.end());
  if (line.paths.empty()) {
    told.push_back(Shown(TextOf(as_run.settings, "app.chdir"), caller.folder));
  }
  return BecomePython(as_run, caller, std::move(told));
}

int ShowCheckPage(const Caller& caller) {
  const Layer as_run = SettingsAsRun({}, caller);
  if (!as_run.mistakes.empty()) return TellMistakes(as_run.mistakes);
  return BecomePython(as_run, caller, {"--page"});
}

}  // namespace onebox::main
