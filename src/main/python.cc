#include "main/python.h"

#include <fmt/format.h>

#include "main/settings.h"
#include "os/file.h"
#include "os/process.h"

namespace onebox::main {

std::string FindPython(const PythonPlaces& places) {
  std::vector<std::string> candidates;
  if (!places.venv.empty()) candidates.push_back(places.venv + "/bin/python");
  candidates.push_back(places.folder + "/.venv/bin/python");
  candidates.push_back(places.folder + "/venv/bin/python");
  candidates.push_back(os::FindInPath("python3", places.path));
  for (const std::string& candidate : candidates) {
    if (os::IsExecutable(candidate)) return candidate;
  }
  return "python3";
}

Result<std::string> FindPythonSide(const std::string& program) {
  const std::string folder = PathFrom(TRY(os::RealPath(program)), "..");
  const std::string tried[] = {PathFrom(folder, "../python"),
                               PathFrom(folder, "../lib/onebox/python")};
  for (const std::string& candidate : tried) {
    if (os::RealPath(candidate).ok()) return candidate;
  }
  return OperatorError(
      fmt::format("the Python side of onebox is neither {} nor {}", tried[0], tried[1]));
}

}  // namespace onebox::main
