#pragma once
// onebox._onebox.Cache: the cache that all processes share, as Python sees it.

#include "pyext/python.h"

namespace onebox::pyext {

// Adds the type to the module; false with an exception.
bool AddCacheType(PyObject* module);

// Of the module: share_cache(descriptor), once, before a Cache is made: the memory that all without
// memory of their own have, which the descriptor is of. It is closed with the process.
PyObject* ShareCache(PyObject* module, PyObject* descriptor);

}  // namespace onebox::pyext
