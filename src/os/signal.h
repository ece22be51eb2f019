#pragma once
// Signals as readiness of a descriptor, and after a time.

#include <initializer_list>
#include <optional>
#include <string>

#include "base/clock.h"
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

// Sends this process that signal once `after` has passed, unless it is called again before; zero: never.
// One for the process, no thread stands behind it, and the child of a fork has none. Errors: the
// kernel has no memory for another timer.
Status SignalAfter(int number, Duration after);

// A real-time signal: Python's faulthandler is to dump all stacks when it comes (python/onebox/worker.py).
int DumpSignal();

// "SIGTERM"; "signal 42" where it has no name.
std::string SignalName(int number);

}  // namespace onebox::os
