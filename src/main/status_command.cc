#include "main/status_command.h"

#include <filesystem>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "main/command_line.h"
#include "main/config.h"
#include "main/environment.h"
#include "main/toml_file.h"
#include "os/file.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

constexpr std::string_view kUsage =
    "onebox status [--state DIR] [--json]: asks a running box how it is.\n";
constexpr std::size_t kFileBytesMax = 1 << 20;

// The state folder that `onebox run` would take here.
std::string StateHere(const Caller& caller) {
  Settings settings = Defaults(caller.folder);
  if (const auto text = os::ReadFile(PathFrom(caller.folder, "onebox.toml"), kFileBytesMax);
      text.ok()) {
    Overlay(settings, ReadToml(text.value(), "onebox.toml", caller.folder).settings);
  }
  Overlay(settings, ReadEnvironment(caller.environment, caller.folder).settings);
  FillIn(settings, caller.environment);
  return TextOf(settings, "state");
}

// The folders beside each other in which a box answers.
std::vector<std::string> StatesThatAnswer(const Caller& caller) {
  std::vector<std::string> found;
  std::error_code failure;
  std::filesystem::directory_iterator folders(DefaultStateParent(caller.environment), failure);
  if (failure) return found;
  for (const auto& folder : folders) {
    if (supervise::AskStatus(folder.path().string()).ok()) found.push_back(folder.path().string());
  }
  return found;
}

Result<std::string> Ask(const StatusLine& line, const Caller& caller) {
  if (!line.state.empty()) return supervise::AskStatus(line.state);
  const std::string here = StateHere(caller);
  auto answer = supervise::AskStatus(here);
  if (answer.ok()) return answer;
  const auto others = StatesThatAnswer(caller);
  if (others.size() == 1) return supervise::AskStatus(others.front());
  if (others.empty()) {
    return OperatorError(fmt::format(
        "no onebox runs here ({}); where it was started with --state, give the same here", here));
  }
  return OperatorError(fmt::format("several boxes run; choose one:\n  onebox status --state {}",
                                   fmt::join(others, "\n  onebox status --state ")));
}

}  // namespace

int ShowStatus(std::span<const std::string> words, const Caller& caller) {
  const StatusLine line = ReadStatusLine(words, caller.folder);
  if (line.help) {
    std::cout << kUsage;
    return 0;
  }
  for (const std::string& mistake : line.mistakes) {
    std::cerr << mistake << '\n';
  }
  if (!line.mistakes.empty()) return 2;
  const auto answer = Ask(line, caller);
  if (!answer.ok()) {
    std::cerr << fmt::format("onebox: {}\n", answer.error().message);
    return 1;
  }
  std::cout << (line.json ? answer.value() + '\n' : supervise::DescribeStatus(answer.value()));
  return 0;
}

}  // namespace onebox::main
