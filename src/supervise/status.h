#pragma once
// Asks a running box how it is, over the control socket in its state folder.

#include <string>

#include "base/result.h"

namespace onebox::supervise {

inline constexpr std::size_t kStatusBytesMax = 256 << 10;

std::string ControlPath(const std::string& state);

// The status as one JSON object; an Error where no box runs there.
Result<std::string> AskStatus(const std::string& state);

// The same for people.
std::string DescribeStatus(const std::string& status);

}  // namespace onebox::supervise
