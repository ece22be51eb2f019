#pragma once
// onebox._onebox.Cache: the cache that all processes share, as Python sees it.

#include "pyext/python.h"

namespace onebox::pyext {

// Adds the type to the module; false with an exception.
bool AddCacheType(PyObject* module);

}  // namespace onebox::pyext
