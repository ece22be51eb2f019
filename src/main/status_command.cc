#include "main/status_command.h"

#include <functional>
#include <iostream>

#include <fmt/format.h>

#include "main/command_line.h"
#include "main/running_box.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

using Ask = std::function<Result<std::string>(const std::string& state, const StatusLine& line)>;

int AskBox(std::string_view usage,
           const Ask& ask,
           std::span<const std::string> words,
           const Caller& caller) {
  const StatusLine line = ReadStatusLine(words, caller.folder);
  return AnswerLine(
      line, usage, caller, [&](const std::string& state) { return ask(state, line); });
}

}  // namespace

int AnswerLine(const StatusLine& line,
               std::string_view usage,
               const Caller& caller,
               const std::function<Result<std::string>(const std::string& state)>& ask) {
  if (line.help) {
    std::cout << usage;
    return 0;
  }
  for (const std::string& mistake : line.mistakes) {
    std::cerr << mistake << '\n';
  }
  if (!line.mistakes.empty()) return 2;
  const auto state = FindRunningBox(line.state, caller);
  const auto answer = state.ok() ? ask(state.value()) : state;
  if (!answer.ok()) {
    std::cerr << fmt::format("onebox: {}\n", answer.error().message);
    return 1;
  }
  std::cout << answer.value();
  return 0;
}

int ShowStatus(std::span<const std::string> words, const Caller& caller) {
  return AskBox(
      "onebox status [--state DIR] [--json]: asks a running box how it is.\n",
      [](const std::string& state, const StatusLine& line) -> Result<std::string> {
        std::string answer = TRY(supervise::AskStatus(state));
        return line.json ? answer + '\n' : supervise::DescribeStatus(answer);
      },
      words,
      caller);
}

int ReloadBox(std::span<const std::string> words, const Caller& caller) {
  return AskBox(
      "onebox reload [--state DIR]: lets a running box read its settings and load its app "
      "anew;\nreturns when that serves, or when it has failed and the one before serves on.\n",
      [](const std::string& state, const StatusLine&) -> Result<std::string> {
        const std::uint64_t generation = TRY(supervise::AskReload(state));
        return fmt::format("generation {} serves\n", generation);
      },
      words,
      caller);
}

int UpgradeBox(std::span<const std::string> words, const Caller& caller) {
  return AskBox(
      "onebox upgrade [--state DIR]: puts the program that lies on the disk now in the place of "
      "the running one;\nreturns when its generation serves, or when it has failed.\n",
      [](const std::string& state, const StatusLine&) -> Result<std::string> {
        const std::uint64_t generation = TRY(supervise::AskUpgrade(state));
        return fmt::format("generation {} serves\n", generation);
      },
      words,
      caller);
}

int StopBox(std::span<const std::string> words, const Caller& caller) {
  return AskBox(
      "onebox stop [--state DIR]: lets a running box finish what has begun, and returns "
      "when it has ended.\n",
      [](const std::string& state, const StatusLine&) -> Result<std::string> {
        TRY(supervise::AskStop(state));
        return std::string("it has finished what had begun, and ended\n");
      },
      words,
      caller);
}

}  // namespace onebox::main
