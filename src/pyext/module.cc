// onebox._onebox: what the Python side imports.

#include "os/process.h"
#include "os/signal.h"
#include "pyext/cache_type.h"
#include "pyext/exchange.h"
#include "pyext/interned.h"
#include "pyext/python.h"
#include "pyext/stack_cache.h"
#include "pyext/worker_type.h"

namespace {

PyObject* ForkChildOf(PyObject* /*module*/, PyObject* pid) {
  const long ancestor = PyLong_AsLong(pid);
  if (ancestor == -1 && PyErr_Occurred() != nullptr) return nullptr;
  PyOS_BeforeFork();
  const auto forked = onebox::os::ForkChildOf(static_cast<pid_t>(ancestor));
  if (forked.ok() && forked.value() == 0) {
    PyOS_AfterFork_Child();
  } else {
    PyOS_AfterFork_Parent();
  }
  if (forked.ok()) return PyLong_FromLong(forked.value());
  PyErr_SetString(PyExc_OSError, forked.error().message.c_str());
  return nullptr;
}

PyObject* SignalAfter(PyObject* /*module*/, PyObject* arguments) {
  int number = 0;
  double seconds = 0;
  if (PyArg_ParseTuple(arguments, "id", &number, &seconds) == 0) return nullptr;
  const std::chrono::duration<double> after(seconds);
  const auto set =
      onebox::os::SignalAfter(number, std::chrono::duration_cast<onebox::Duration>(after));
  if (set.ok()) Py_RETURN_NONE;
  PyErr_SetString(PyExc_OSError, set.error().message.c_str());
  return nullptr;
}

PyObject* KeepStacks(PyObject* /*module*/, PyObject* count) {
  const std::size_t kept_max = PyLong_AsSize_t(count);
  if (PyErr_Occurred() != nullptr) return nullptr;
  onebox::pyext::KeepPythonStacks(kept_max);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"fork_child_of",
     ForkChildOf,
     METH_O,
     "fork_child_of(pid): the pid of a new child of that ancestor of this process, which adopts "
     "orphans; 0 in the child, which dies with that."},
    {"signal_after",
     SignalAfter,
     METH_VARARGS,
     "signal_after(signal, seconds): sends it to this process then, unless it is called again "
     "before; 0: never. Without a thread, and not to the child of a fork."},
    {"keep_stacks",
     KeepStacks,
     METH_O,
     "keep_stacks(count): keeps the memory of that many greenlets that have ended for the next."},
    {"share_cache",
     onebox::pyext::ShareCache,
     METH_O,
     "share_cache(descriptor): the memory that every Cache has from now on, but for those with "
     "memory "
     "of their own."},
    {"connect_cache",
     onebox::pyext::ConnectCache,
     METH_O,
     "connect_cache(connections): after the last fork: Redis is asked from now on, where the box "
     "has "
     "one."},
    {"kept_in_redis",
     onebox::pyext::KeptInRedis,
     METH_O,
     "kept_in_redis(kind)\n--\n\nWhether sessions, locks or limits are to live there."},
    {"deadline",
     onebox::pyext::Deadline,
     METH_NOARGS,
     "deadline()\n--\n\nSeconds that the request of this thread or greenlet has left, less than 0 "
     "where it is late; None outside of a request, and when its answer has begun."},
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
      !onebox::pyext::AddWorkerType(module.get()) || !onebox::pyext::AddCacheType(module.get()) ||
      PyModule_AddIntConstant(module.get(), "DUMP_SIGNAL", onebox::os::DumpSignal()) != 0) {
    return nullptr;
  }
  return module.Release();
}
