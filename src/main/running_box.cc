#include "main/running_box.h"

#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "main/config.h"
#include "main/environment.h"
#include "main/toml_file.h"
#include "os/file.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

// The state folder that `onebox run` would take here.
std::string StateHere(const Caller& caller) {
  Settings settings = Defaults(caller.folder);
  if (const auto text = os::ReadFile(PathFrom(caller.folder, "onebox.toml"), kFileBytesMax);
      text.ok()) {
    Overlay(settings, ReadToml(text.value(), "onebox.toml", caller.folder).settings);
  }
  Overlay(settings, ReadEnvironment(caller.environment, caller.folder).settings);
  FillIn(settings, caller.environment);
  return TextOf(settings, "state");
}

// The folders beside each other in which a box answers.
std::vector<std::string> StatesThatAnswer(const Caller& caller) {
  std::vector<std::string> found;
  std::error_code failure;
  std::filesystem::directory_iterator folders(DefaultStateParent(caller.environment), failure);
  if (failure) return found;
  for (const auto& folder : folders) {
    if (supervise::AskStatus(folder.path().string()).ok()) found.push_back(folder.path().string());
  }
  return found;
}

}  // namespace

Result<std::string> FindRunningBox(const std::string& asked_for, const Caller& caller) {
  if (!asked_for.empty()) return asked_for;
  std::string here = StateHere(caller);
  if (supervise::AskStatus(here).ok()) return here;
  const auto others = StatesThatAnswer(caller);
  if (others.size() == 1) return others.front();
  if (others.empty()) {
    return OperatorError(fmt::format(
        "no onebox runs here ({}); where it was started with --state, give the same here", here));
  }
  return OperatorError(fmt::format("several boxes run; choose one:\n  --state {}",
                                   fmt::join(others, "\n  --state ")));
}

}  // namespace onebox::main
