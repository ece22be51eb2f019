#pragma once
// The version of the program, as CMakeLists.txt has it.

#include <string_view>

namespace onebox::main {

inline constexpr std::string_view kVersion = ONEBOX_VERSION;

}  // namespace onebox::main
