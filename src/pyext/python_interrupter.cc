#include "pyext/python_interrupter.h"

#include <csignal>

#include "os/signal.h"
#include "pyext/error_stream.h"
#include "pyext/interned.h"

namespace onebox::pyext {

void PythonInterrupter::Lock() {
  state_ = PyGILState_Ensure();
}

void PythonInterrupter::Unlock() {
  PyGILState_Release(state_);
}

void PythonInterrupter::Log(std::string_view request_id, std::string_view lines) {
  LogLinesWithoutGil(request_id, lines);
}

// In this thread, so that no other is disturbed. Without a handler the signal would end the process.
void PythonInterrupter::DumpAll() {
  struct sigaction now {};
  const bool known = ::sigaction(os::DumpSignal(), nullptr, &now) == 0;
  if (known && now.sa_handler != SIG_DFL) ::raise(os::DumpSignal());
}

std::string PythonInterrupter::LinesOf(const Ref& text) {
  const Ref bytes =
      text ? Ref::Take(PyUnicode_AsEncodedString(text.get(), "utf-8", "backslashreplace")) : Ref();
  if (bytes) return std::string(ViewOf(bytes.get()));
  PyErr_Clear();
  return "  (its stack could not be made)";
}

PyObject* PythonInterrupter::ExceptionFor(channel::CancelReason reason) {
  return reason == channel::CancelReason::kDeadline ? Known().deadline_exceeded
                                                    : Known().client_disconnected;
}

}  // namespace onebox::pyext
