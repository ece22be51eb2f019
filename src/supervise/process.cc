#include "supervise/process.h"

#include <fmt/format.h>

#include "base/check.h"

namespace onebox::supervise {

std::string_view NameOf(Role role) {
  return role == Role::kFront ? "front" : "app worker";
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
  const std::string pid = child ? fmt::format(" [{}]", child->pid()) : "";
  return role == Role::kFront ? fmt::format("front{}", pid)
                              : fmt::format("worker {}{}", number, pid);
}

}  // namespace onebox::supervise
