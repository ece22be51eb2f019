#include "pyext/thread_interrupter.h"

#include <csignal>

#include "pyext/error_stream.h"
#include "pyext/interned.h"

namespace onebox::pyext {

int DumpSignal() {
  return SIGRTMAX;
}

void ThreadInterrupter::Lock() {
  state_ = PyGILState_Ensure();
}

void ThreadInterrupter::Unlock() {
  PyGILState_Release(state_);
}

std::string ThreadInterrupter::StackOf(std::uint64_t place) {
  const Ref number = Ref::Take(PyLong_FromUnsignedLongLong(place));
  const Ref lines =
      number
          ? Ref::Take(PyObject_CallFunctionObjArgs(Known().stack_of_thread, number.get(), nullptr))
          : Ref();
  const Ref bytes =
      lines ? Ref::Take(PyUnicode_AsEncodedString(lines.get(), "utf-8", "backslashreplace"))
            : Ref();
  if (bytes) return std::string(ViewOf(bytes.get()));
  PyErr_Clear();
  return "  (its stack could not be made)";
}

void ThreadInterrupter::Raise(std::uint64_t place, channel::CancelReason reason) {
  PyThreadState_SetAsyncExc(place,
                            reason == channel::CancelReason::kDeadline
                                ? Known().deadline_exceeded
                                : Known().client_disconnected);
}

void ThreadInterrupter::TakeBack(std::uint64_t place) {
  PyThreadState_SetAsyncExc(place, nullptr);
}

void ThreadInterrupter::Log(std::string_view request_id, std::string_view lines) {
  LogLinesWithoutGil(request_id, lines);
}

// In this thread, so that no other is disturbed. Without a handler the signal would end the process.
void ThreadInterrupter::DumpAll() {
  struct sigaction now {};
  const bool known = ::sigaction(DumpSignal(), nullptr, &now) == 0;
  if (known && now.sa_handler != SIG_DFL) ::raise(DumpSignal());
}

}  // namespace onebox::pyext
