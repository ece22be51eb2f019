#include "main/acme_role.h"

#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "acme/service.h"
#include "base/check.h"
#include "telemetry/log.h"

namespace onebox::main {

int RunAcme(const acme::Settings& settings,
            const FrontLog& log,
            const Clock& clock,
            shm::SharedText& metrics,
            os::Fd control) {
  SetCrashRole("acme");
  const auto own_log =
      telemetry::Log::Open(clock, {.role = "acme", .path = log.path, .level = log.level});
  if (!own_log.ok()) {  // the supervisor could open it, but we may be another user
    std::cerr << fmt::format("onebox: acme: {}\n", own_log.error().message);
    return 1;
  }
  return acme::Serve(settings,
                     {.control = std::move(control),
                      .publish = [&](std::string_view text) { metrics.Write(text, clock.Now()); },
                      .clock = clock,
                      .log = *own_log.value()});
}

}  // namespace onebox::main
