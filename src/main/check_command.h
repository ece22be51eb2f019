#pragma once
// `onebox check`: the app's source, looked at by the Python that would run it.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// This process becomes that Python, whose output and exit status are the command's: 0 where nothing is
// found, 1 where something is, 2 where a file cannot be read, or for mistakes on the line.
int CheckApp(std::span<const std::string> words, const Caller& caller);

// `onebox reference check`: the table is the Python side's, which prints it.
int ShowCheckPage(const Caller& caller);

}  // namespace onebox::main
