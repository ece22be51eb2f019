#pragma once
// onebox.toml, read and checked as a whole.

#include <string>
#include <string_view>

#include "main/settings.h"

namespace onebox::main {

// Every mistake of `text` is told, each as `FILE:LINE: [table] key: ...`; the settings are those
// that are right. Relative folders count from `folder`. Opens no file.
Layer ReadToml(std::string_view text, const std::string& file, const std::string& folder);

}  // namespace onebox::main
