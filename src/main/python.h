#pragma once
// Where the app's Python is, and our own Python side.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/inquiry.h"
#include "os/process.h"

namespace onebox::main {

struct PythonPlaces {
  std::string venv;    // $VIRTUAL_ENV, or empty
  std::string folder;  // the app's
  std::string path;    // $PATH
};

// The interpreter of the venv that is active, else of .venv or venv in the app's folder, else python3
// in the path; where there is none at all, "python3".
std::string FindPython(const PythonPlaces& places);

// What keeps this interpreter from being started; nothing where it can be. Without a "/" it is looked up.
std::optional<std::string> WrongPython(const std::string& python, const os::Variables& environment);

// The folder beside the program that the interpreter runs: ../python, or ../lib/onebox/python.
Result<std::string> FindPythonSide(const std::string& program);

// One thing that the Python side is asked, in a process of its own.
struct PythonQuestion {
  std::string python;
  std::string python_side;
  std::vector<std::string> words;  // behind `PYTHON PYTHON_SIDE`
  os::Variables environment;
};

struct PythonAnswer {
  std::string text;     // one line
  std::string printed;  // what it wrote before that
};

// It has 30 s to answer. Where it does not, the Error ends with all that the process has written.
os::Asked<Result<PythonAnswer>> AskPython(const PythonQuestion& question);

}  // namespace onebox::main
