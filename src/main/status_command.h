#pragma once
// `onebox status`, `reload` and `stop`: what a running box is asked.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// Each asks the box of --state, or of the current folder's app, or the only one that runs. The exit
// status: 0, 1 where none answers, several could be meant or it answers with an error, 2 for mistakes
// on the line.
int ShowStatus(std::span<const std::string> words, const Caller& caller);
int ReloadBox(std::span<const std::string> words, const Caller& caller);
int UpgradeBox(std::span<const std::string> words, const Caller& caller);
int StopBox(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
