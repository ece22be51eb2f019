#pragma once
// Finds the box that a command is about.

#include <string>

#include "base/result.h"
#include "main/run_command.h"

namespace onebox::main {

// The state folder of the box that runs: `asked_for` if that is not empty, else that of the current
// folder's app, else the only one that answers. An Error where none does, or several.
Result<std::string> FindRunningBox(const std::string& asked_for, const Caller& caller);

}  // namespace onebox::main
