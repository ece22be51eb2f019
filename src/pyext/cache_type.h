#pragma once
// onebox._onebox.Cache: the cache that all processes share, as Python sees it.

#include "pyext/python.h"

namespace onebox::pyext {

// Adds the type to the module; false with an exception.
bool AddCacheType(PyObject* module);

// Of the module: share_cache(descriptor), once, before a Cache is made: the memory that all without
// memory of their own have, which the descriptor is of. It is closed with the process.
PyObject* ShareCache(PyObject* module, PyObject* descriptor);
// connect_cache(connections): after the last fork: from now on Redis is asked, where the box has one.
PyObject* ConnectCache(PyObject* module, PyObject* connections);
// kept_in_redis(kind): whether "sessions", "locks" or "limits" are to live there.
PyObject* KeptInRedis(PyObject* module, PyObject* kind);

}  // namespace onebox::pyext
