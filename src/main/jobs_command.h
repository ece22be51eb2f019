#pragma once
// `onebox jobs`: when the jobs of a running box are due, and what became of them.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// The exit status: 0; 1 where no box answers, it has had no jobs, or the job is not there; 2 for
// mistakes on the line.
int ShowJobs(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
