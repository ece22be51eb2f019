#pragma once
// `onebox purge`: lets the front of a running box forget answers that it keeps.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// The exit status: 0; 1 where no box answers; 2 for mistakes on the line.
int PurgeAnswers(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
