#pragma once
// PythonInterrupter: what the deadline watch needs of Python, whatever runs the requests.

#include <cstdint>
#include <string>
#include <string_view>

#include "pyext/python.h"
#include "worker/deadline_watch.h"

namespace onebox::pyext {

// The lock is the GIL.
class PythonInterrupter : public worker::Interrupter {
 public:
  void Lock() override;
  void Unlock() override;
  void Log(std::string_view request_id, std::string_view lines) override;
  void DumpAll() override;

  // What was raised at this place and has not arrived is raised no more. Under the GIL.
  virtual void TakeBack(std::uint64_t place) = 0;

 protected:
  // What a function of onebox.stacks has returned, or a sentence where it has failed.
  static std::string LinesOf(const Ref& text);
  static PyObject* ExceptionFor(channel::CancelReason reason);

 private:
  PyGILState_STATE state_{};  // of the thread between Lock() and Unlock()
};

}  // namespace onebox::pyext
