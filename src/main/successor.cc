#include "main/successor.h"

#include <csignal>

#include <fmt/format.h>

#include "base/ascii.h"
#include "main/settings.h"
#include "os/poll.h"
#include "os/process.h"

namespace onebox::main {
namespace {

constexpr std::string_view kVariable = "ONEBOX_SUCCESSION";
constexpr Duration kCheckTimeout = std::chrono::seconds(10);
constexpr std::uint64_t kDescriptorMax = 1 << 20;

std::string PathOf(const Caller& caller) {
  if (caller.name.find('/') != std::string::npos) return PathFrom(caller.folder, caller.name);
  const auto path = caller.environment.find("PATH");
  return path == caller.environment.end() ? "" : os::FindInPath(caller.name, path->second);
}

}  // namespace

Successor::Successor(const Caller& caller) : caller_(caller), path_(PathOf(caller)) {}

Status Successor::Check() const {
  if (path_.empty()) {
    return OperatorError(fmt::format("{} is not found in PATH any more", caller_.name));
  }
  std::vector<std::string> words = {path_};
  words.insert(words.end(), caller_.words.begin(), caller_.words.end());
  words.emplace_back("--check-config");
  auto checked = TRY(os::Spawn({.words = words, .environment = caller_.environment}));
  const int ended[] = {checked.child.pidfd().get()};
  if (os::WaitReadable(ended, kCheckTimeout).empty()) {
    checked.child.Signal(SIGKILL);
    (void)os::WaitReadable(ended, kCheckTimeout);
    (void)checked.child.Reap();
    return OperatorError(fmt::format("{} does not say whether it would start", path_));
  }
  const auto status = checked.child.Reap();
  const std::string said = os::ReadAvailable(checked.output);
  if (!status || status->signal != 0 || status->status != 0) {
    return OperatorError(
        fmt::format("{} would not start: {}{}", path_, said, status ? status->text() : ""));
  }
  // A program that is another altogether may end well too.
  if (said.find(kOptionsAreRight) != std::string::npos) return Done();
  return OperatorError(fmt::format("{} is no onebox: it says \"{}\" of the options", path_, said));
}

Error Successor::Become(const os::Fd& left) const {
  std::vector<std::string> words = {path_};
  words.insert(words.end(), caller_.words.begin(), caller_.words.end());
  os::Variables environment = caller_.environment;
  environment[std::string(kVariable)] = std::to_string(left.get());
  return os::Execute({.words = words, .environment = environment});
}

os::Fd Successor::Inherited(os::Variables& environment) {
  const auto found = environment.find(std::string(kVariable));
  if (found == environment.end()) return {};
  const auto number = ParseDecimal(found->second, kDescriptorMax);
  environment.erase(found);
  if (!number) return {};
  os::CloseAtExecute(static_cast<int>(*number));
  return os::Fd(static_cast<int>(*number));
}

}  // namespace onebox::main
