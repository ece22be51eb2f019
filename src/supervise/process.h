#pragma once
// One process of the box, in all its lives.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "os/fd.h"
#include "os/process.h"
#include "supervise/backoff.h"
#include "supervise/lines.h"

namespace onebox::supervise {

enum class Role : unsigned char { kFront, kAppWorker };

// waiting -> booting -> ready -> (ending) -> waiting. It has a child in all of them but waiting.
enum class Life : unsigned char { kWaiting, kBooting, kReady, kEnding };

std::string_view NameOf(Role role);
std::string_view NameOf(Life life);

struct Process {
  Process(Role its_role, int its_number, const Clock& clock)
      : role(its_role), number(its_number), backoff(clock), start_at(clock.Now()) {}

  // "front [4711]", "worker 2 [4712]"
  std::string name() const;
  bool alive() const { return child.has_value(); }
  void Signal(int signal) const {
    if (child) child->Signal(signal);
  }

  Role role;
  int number;  // of a worker: from 1
  Backoff backoff;
  Life life = Life::kWaiting;
  std::optional<os::Child> child;
  os::Fd output;  // what a worker prints
  Lines lines;
  std::vector<std::string> held;  // lines that wait for the boot to succeed or fail
  bool holds = false;
  int restarts = 0;
  Time started{};
  Time start_at;                // when waiting: the time of the next start
  std::optional<Time> kill_at;  // when stuck: the time that its other requests have to end
};

}  // namespace onebox::supervise
