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
  // Remembers the path, in case that the folder or PATH changes. The caller outlives it.
  explicit Successor(const Caller& caller);

  // Whether it would start with our words; an Error with what it says.
  os::Asked<Status> Check() const;
  // Becomes it. Returns only where it cannot.
  Error Become(const os::Fd& left) const;

  // What the program before has left, in that successor; not valid where there was none. Once: the
  // variable that says so goes from `environment`.
  static os::Fd Inherited(os::Variables& environment);

 private:
  const Caller& caller_;
  std::string path_;
};

}  // namespace onebox::main
