#pragma once
// ThreadInterrupter: a Python thread's stack, and an exception raised in it from outside.

#include <cstdint>
#include <string>
#include <string_view>

#include "pyext/python.h"
#include "worker/deadline_watch.h"

namespace onebox::pyext {

// A real-time signal: Python's faulthandler is to dump all stacks when it comes (python/onebox/worker.py).
int DumpSignal();

// A place's name is the thread's number, as threading.get_ident() has it; the lock is the GIL.
class ThreadInterrupter final : public worker::Interrupter {
 public:
  void Lock() override;
  void Unlock() override;
  std::string StackOf(std::uint64_t place) override;
  void Raise(std::uint64_t place, channel::CancelReason reason) override;
  void Log(std::string_view request_id, std::string_view lines) override;
  void DumpAll() override;

  // What was raised in this thread and has not arrived is raised no more. Under the GIL.
  static void TakeBack(std::uint64_t place);

 private:
  PyGILState_STATE state_{};  // of the thread between Lock() and Unlock()
};

}  // namespace onebox::pyext
