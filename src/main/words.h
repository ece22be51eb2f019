#pragma once
// Words, taken apart.

#include <string_view>
#include <vector>

namespace onebox::main {

// The parts between the separators, without blanks at their ends; empty text has none.
std::vector<std::string_view> SplitWords(std::string_view text, char separator);

}  // namespace onebox::main
