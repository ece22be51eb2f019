#pragma once
// ThreadInterrupter: a Python thread's stack, and an exception raised in it from outside.

#include <cstdint>
#include <string>

#include "pyext/python_interrupter.h"

namespace onebox::pyext {

// A place's name is the thread's number, as threading.get_ident() has it.
class ThreadInterrupter final : public PythonInterrupter {
 public:
  std::uint64_t ThreadOf(std::uint64_t place) const override { return place; }
  std::string StackOf(std::uint64_t place) override;
  void Raise(std::uint64_t place, channel::CancelReason reason) override;
  void TakeBack(std::uint64_t place) override;
};

}  // namespace onebox::pyext
