#pragma once
// `onebox cache`: what is in the cache of a running box, and how often it helps.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

// The exit status: 0; 1 where no box answers or nothing is there; 2 for mistakes on the line.
int ShowCache(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
