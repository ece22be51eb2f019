// onebox._onebox: what the Python side imports.

#include "pyext/exchange.h"
#include "pyext/interned.h"
#include "pyext/python.h"
#include "pyext/thread_interrupter.h"
#include "pyext/worker_type.h"

namespace {

PyMethodDef functions[] = {
    {"deadline",
     onebox::pyext::Deadline,
     METH_NOARGS,
     "deadline()\n--\n\nSeconds that the request of this thread has left, less than 0 where it is "
     "late; None outside of a request."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "onebox._onebox",
                          "The app worker's side of Onebox, in C++.",
                          -1,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): CPython's name for it
PyMODINIT_FUNC PyInit__onebox() {
  using onebox::pyext::Ref;
  Ref module = Ref::Take(PyModule_Create(&definition));
  if (!module || !onebox::pyext::MakeInterned(module.get()) ||
      !onebox::pyext::AddWorkerType(module.get()) ||
      PyModule_AddIntConstant(module.get(), "DUMP_SIGNAL", onebox::pyext::DumpSignal()) != 0) {
    return nullptr;
  }
  return module.Release();
}
