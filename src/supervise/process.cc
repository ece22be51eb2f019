#include "supervise/process.h"

#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "supervise/generation.h"

namespace onebox::supervise {

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kFront:
      return "front";
    case Role::kBroker:
      return "broker";
    case Role::kAcme:
      return "acme";
    case Role::kZygote:
      return "zygote";
    case Role::kAppWorker:
      return "app worker";
    case Role::kTaskWorker:
      return "task worker";
  }
  CHECK(false);
}

std::string_view NameOf(Life life) {
  switch (life) {
    case Life::kWaiting:
      return "waiting";
    case Life::kBooting:
      return "booting";
    case Life::kReady:
      return "ready";
    case Life::kEnding:
      return "ending";
  }
  CHECK(false);
}

std::string Process::name() const {
  const std::string& its_app = AppOf(*this).name;
  const std::string of_app = its_app.empty() ? "" : fmt::format(" of {}", its_app);
  const std::string pid = of_app + (child ? fmt::format(" [{}]", child->pid()) : "");
  if (role == Role::kAppWorker) return fmt::format("worker {}{}", number, pid);
  if (role == Role::kTaskWorker) return fmt::format("task worker {}{}", number, pid);
  return fmt::format("{}{}", NameOf(role), pid);
}

std::string Process::TakeStory() {
  std::vector<std::string> said = std::exchange(held, {});
  if (said.empty()) said.assign(lines.last().begin(), lines.last().end());
  return fmt::format("{}", fmt::join(said, "\n"));
}

}  // namespace onebox::supervise
