#pragma once
// The facts of this machine, for the plan.

#include <string_view>

#include "plan/workers.h"

namespace onebox::main {

plan::MachineFacts ReadMachineFacts();

// The parts, for tests: the text of /proc/cpuinfo, and of /proc/net/tcp and tcp6.
unsigned CountPhysicalCores(std::string_view cpuinfo);
std::string FindDatabase(std::string_view sockets);

}  // namespace onebox::main
