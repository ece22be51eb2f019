#pragma once
// `onebox certificates`: those that a running box obtains, and another one now.

#include <span>
#include <string>

#include "main/run_command.h"

namespace onebox::main {

int ShowCertificates(std::span<const std::string> words, const Caller& caller);

}  // namespace onebox::main
