#pragma once
// Options from ONEBOX_* variables.

#include <string>

#include "main/settings.h"
#include "os/process.h"

namespace onebox::main {

// Lists are separated by commas, as are the NAME=VALUE of maps. A name that begins like an option's
// (ONEBOX_APP_...) and is none is a mistake; any other ONEBOX_* is warned about: it may be another
// program's. Relative folders count from `folder`.
Layer ReadEnvironment(const os::Variables& variables, const std::string& folder);

}  // namespace onebox::main
