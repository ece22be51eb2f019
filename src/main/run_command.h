#pragma once
// `onebox run`.

#include <span>
#include <string>
#include <vector>

#include "main/command_line.h"
#include "main/settings.h"
#include "os/process.h"

namespace onebox::main {

// What a command knows of the process that it runs in.
struct Caller {
  std::string program;             // the path of our own binary
  std::string name;                // as it was called
  std::vector<std::string> words;  // what it was called with
  std::string folder;              // the current one
  os::Variables environment;
};

// The exit status: 2 for mistakes in the options, 1 where the box could not start, else 0.
int Run(std::span<const std::string> words, Caller caller);

// What the options come to for `onebox run` of this line, with what is wrong in any single one.
Layer SettingsAsRun(const RunLine& line, const Caller& caller);

// `onebox reference gunicorn`: the table is the Python side's, so a Python prints it.
int ShowGunicornPage(const Caller& caller);

}  // namespace onebox::main
