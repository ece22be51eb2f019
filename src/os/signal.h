#pragma once
// Signals as readiness of a descriptor.

#include <initializer_list>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace onebox::os {

// Takes the given signals out of the ordinary way for as long as the process lives.
class SignalQueue {
 public:
  static Result<SignalQueue> Open(std::initializer_list<int> signals);

  const Fd& fd() const { return fd_; }  // readable when a signal waits
  void Close() { fd_.Reset(); }
  std::optional<int> Next();

 private:
  explicit SignalQueue(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

// "SIGTERM"; "signal 42" where it has no name.
std::string SignalName(int number);

}  // namespace onebox::os
