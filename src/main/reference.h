#pragma once
// The table of options for people: help, reference page, effective settings.

#include <string>

#include "main/settings.h"

namespace onebox::main {

// `onebox --help`
std::string Help();
// `onebox run --help`
std::string RunHelp();
// `onebox check --help`
std::string CheckHelp();

// docs/use/options.md: every option, in Markdown.
std::string OptionsPage();

// Every setting with its source, as an onebox.toml that says the same.
std::string PrintSettings(const Settings& settings);

}  // namespace onebox::main
