// onebox._onebox: what the Python side imports.

#include "pyext/interned.h"
#include "pyext/python.h"
#include "pyext/worker_type.h"

namespace {

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "onebox._onebox",
                          "The app worker's side of Onebox, in C++.",
                          -1,
                          nullptr,
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
      !onebox::pyext::AddWorkerType(module.get())) {
    return nullptr;
  }
  return module.Release();
}
