#include "pyext/thread_interrupter.h"

#include "pyext/interned.h"

namespace onebox::pyext {

std::string ThreadInterrupter::StackOf(std::uint64_t place) {
  const Ref number = Ref::Take(PyLong_FromUnsignedLongLong(place));
  return LinesOf(number ? Ref::Take(PyObject_CallFunctionObjArgs(
                              Known().stack_of_thread, number.get(), nullptr))
                        : Ref());
}

void ThreadInterrupter::Raise(std::uint64_t place, channel::CancelReason reason) {
  PyThreadState_SetAsyncExc(place, ExceptionFor(reason));
}

void ThreadInterrupter::TakeBack(std::uint64_t place) {
  PyThreadState_SetAsyncExc(place, nullptr);
}

}  // namespace onebox::pyext
