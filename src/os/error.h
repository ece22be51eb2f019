#pragma once
// A failed system call as an Error.

#include <string_view>

#include "base/result.h"

namespace onebox::os {

// "bind 127.0.0.1:80: Permission denied"; keeps `number` (an errno) in the Error.
Error SystemError(std::string_view what, int number);

// The text of an errno, as strerror has it.
std::string ErrorText(int number);

}  // namespace onebox::os
