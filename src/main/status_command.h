#pragma once
// `onebox status`.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// Asks the box of --state, or of the current folder's app, or the only one that runs. The exit
// status: 0, 1 where none answers or several could be meant, 2 for mistakes on the line.
int ShowStatus(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
