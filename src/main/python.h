#pragma once
// Where the app's Python is, and our own Python side.

#include <string>

#include "base/result.h"

namespace onebox::main {

struct PythonPlaces {
  std::string venv;    // $VIRTUAL_ENV, or empty
  std::string folder;  // the app's
  std::string path;    // $PATH
};

// The interpreter of the venv that is active, else of .venv or venv in the app's folder, else python3
// in the path; where there is none at all, "python3".
std::string FindPython(const PythonPlaces& places);

// The folder beside the program that the interpreter runs: ../python, or ../lib/onebox/python.
Result<std::string> FindPythonSide(const std::string& program);

}  // namespace onebox::main
