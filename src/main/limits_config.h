#pragma once
// What the file says of limits and of networks that may come in, made into what the front is given.

#include <string>

#include "base/result.h"
#include "front/settings.h"
#include "main/settings.h"

namespace onebox::main {

inline constexpr std::size_t kDenyFileBytesMax = std::size_t{16} << 20;

// Of all that has limits, allow or deny. The settings were checked one by one.
Mistakes CheckLimits(const Settings& settings);

// Adds them to `made`, whose routes are those of the settings, in their order. REQUIRES: CheckLimits()
// had nothing to say; what is an Error is a file that cannot be read any more.
Status AddLimits(const Settings& settings, front::Settings& made);

// What a file of networks holds now, as a front that was made from it is compared with another.
std::string PrintOfDenyFile(const Settings& settings);

}  // namespace onebox::main
