#pragma once
// Values written as plain text, on the command line or in a variable.

#include <span>
#include <string>
#include <string_view>

#include "main/settings.h"
#include "main/words.h"

namespace onebox::main {

struct WrittenAt {
  std::string place;   // for mistakes: "--workers"
  std::string source;  // for --print-config: "command line --workers"
  std::string folder;  // that relative folders count from
};

// Puts the values of one option into the layer, and what is wrong with them.
void TakeWritten(const Option& option,
                 std::span<const std::string_view> values,
                 const WrittenAt& at,
                 Layer& layer);

}  // namespace onebox::main
