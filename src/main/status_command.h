#pragma once
// `onebox status`, `reload` and `stop`: what a running box is asked.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "main/command_line.h"
#include "main/run_command.h"

namespace onebox::main {

// Answers a line that is about a running box: its help, its mistakes, or what `ask` says of the box in
// `state`. The exit status, as below.
int AnswerLine(const StatusLine& line,
               std::string_view usage,
               const Caller& caller,
               const std::function<Result<std::string>(const std::string& state)>& ask);

// Each asks the box of --state, or of the current folder's app, or the only one that runs. The exit
// status: 0, 1 where none answers, several could be meant or it answers with an error, 2 for mistakes
// on the line.
int ShowStatus(std::span<const std::string> words, const Caller& caller);
int ReloadBox(std::span<const std::string> words, const Caller& caller);
int UpgradeBox(std::span<const std::string> words, const Caller& caller);
int StopBox(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
