#pragma once
// `onebox tasks`: the queues of a running box, and what people do with tasks.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// The exit status: 0; 1 where no box answers, it has had no tasks, or some of what was asked for was
// not done; 2 for mistakes on the line.
int ShowTasks(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
