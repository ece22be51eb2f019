#pragma once
// The text of a target, as far as it can be judged without Python.

#include <optional>
#include <string>
#include <string_view>

namespace onebox::main {

// Why no app can be meant by it, for messages; nothing where one may be: the Python side, which
// python/onebox/target.py is, knows the rest.
std::optional<std::string> WrongTarget(std::string_view target);

}  // namespace onebox::main
