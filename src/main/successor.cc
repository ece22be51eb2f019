#include "main/successor.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "main/settings.h"
#include "os/clock.h"
#include "os/process.h"

namespace onebox::main {
namespace {

constexpr std::string_view kVariable = "ONEBOX_SUCCESSION";
constexpr std::string_view kMemoryVariable = "ONEBOX_SUCCESSION_MEMORY";
constexpr Duration kCheckTimeout = std::chrono::seconds(10);
constexpr std::size_t kCheckBytesMax = 1 << 20;
constexpr std::uint64_t kDescriptorMax = 1 << 20;

std::string PathOf(const Caller& caller) {
  if (caller.name.find('/') != std::string::npos) return PathFrom(caller.folder, caller.name);
  const auto path = caller.environment.find("PATH");
  return path == caller.environment.end() ? "" : os::FindInPath(caller.name, path->second);
}

os::Fd TakeDescriptor(os::Variables& environment, std::string_view variable) {
  const auto found = environment.find(std::string(variable));
  if (found == environment.end()) return {};
  const auto number = ParseDecimal(found->second, kDescriptorMax);
  environment.erase(found);
  if (!number) return {};
  os::CloseAtExecute(static_cast<int>(*number));
  return os::Fd(static_cast<int>(*number));
}

}  // namespace

Successor::Successor(const Caller& caller, int memory)
    : caller_(caller), memory_(memory), path_(PathOf(caller)) {}

os::Asked<Status> Successor::Check() const {
  if (path_.empty()) {
    return os::Asked<Status>(
        OperatorError(fmt::format("{} is not found in PATH any more", caller_.name)));
  }
  std::vector<std::string> words = {path_};
  words.insert(words.end(), caller_.words.begin(), caller_.words.end());
  words.emplace_back("--check-config");
  auto begun = os::Inquiry::Begin(
      {.words = words, .environment = caller_.environment},
      {.deadline = os::SystemClock().Now() + kCheckTimeout, .text_bytes_max = kCheckBytesMax});
  if (!begun.ok()) return os::Asked<Status>(std::move(begun).error());
  return {std::move(begun).value(), [path = path_](const os::Said& said) -> Status {
            if (said.end != os::Said::End::kByItself) {
              return OperatorError(fmt::format("{} does not say whether it would start", path));
            }
            if (said.status.signal != 0 || said.status.status != 0) {
              return OperatorError(
                  fmt::format("{} would not start: {}{}", path, said.text, said.status.text()));
            }
            // A program that is another altogether may end well too.
            if (said.text.find(kOptionsAreRight) != std::string::npos) return Done();
            return OperatorError(
                fmt::format("{} is no onebox: it says \"{}\" of the options", path, said.text));
          }};
}

Error Successor::Become(const os::Fd& left) const {
  std::vector<std::string> words = {path_};
  words.insert(words.end(), caller_.words.begin(), caller_.words.end());
  os::Variables environment = caller_.environment;
  environment[std::string(kVariable)] = std::to_string(left.get());
  environment[std::string(kMemoryVariable)] = std::to_string(memory_);
  os::KeepAtExecute(memory_);
  Error failed = os::Execute({.words = words, .environment = environment});
  os::CloseAtExecute(memory_);
  return failed;
}

Successor::Heritage Successor::Inherited(os::Variables& environment) {
  return {TakeDescriptor(environment, kVariable), TakeDescriptor(environment, kMemoryVariable)};
}

}  // namespace onebox::main
