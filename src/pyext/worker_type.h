#pragma once
// onebox._onebox.Worker: the app worker's side of the channel, as Python sees it.

#include "pyext/python.h"

namespace onebox::pyext {

// Adds the type to the module; false with an exception.
bool AddWorkerType(PyObject* module);

}  // namespace onebox::pyext
