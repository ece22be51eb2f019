#pragma once
// The program that takes the place of the running one at an upgrade.

#include <string>
#include <string_view>

#include "base/result.h"
#include "main/run_command.h"
#include "os/fd.h"
#include "os/inquiry.h"

namespace onebox::main {

// What --check-config says of options that are right: who is to be replaced waits for these words.
inline constexpr std::string_view kOptionsAreRight = "the options are right";

// The same path that we were called by: what lies there now may be another version.
class Successor {
 public:
  // Remembers the path, in case that the folder or PATH changes. `memory`: a descriptor that it inherits
  // too. The caller outlives it.
  Successor(const Caller& caller, int memory);

  // Whether it would start with our words; an Error with what it says.
  os::Asked<Status> Check() const;
  // Becomes it. Returns only where it cannot.
  Error Become(const os::Fd& left) const;

  // In that successor: what the program before has left, and its memory; not valid where there is none.
  // Once: the variables that say so go from `environment`.
  struct Heritage {
    os::Fd left, memory;
  };
  static Heritage Inherited(os::Variables& environment);

 private:
  const Caller& caller_;
  const int memory_;
  std::string path_;
};

}  // namespace onebox::main
