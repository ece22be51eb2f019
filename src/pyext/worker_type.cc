#include "pyext/worker_type.h"

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "os/clock.h"
#include "pyext/environ.h"
#include "pyext/exchange.h"
#include "pyext/thread_interrupter.h"
#include "worker/deadline_watch.h"
#include "worker/worker.h"

namespace onebox::pyext {
namespace {

struct Inside {
  os::SystemClock clock;
  std::unique_ptr<worker::Worker> worker;
  ThreadInterrupter interrupter;
  std::optional<worker::DeadlineWatch> watch;
  EnvironMaker environ_maker;
  std::uint64_t requests = 0;  // begun; under the GIL
};

struct WorkerObject {
  PyObject head;
  Inside* inside;
};

Inside& Of(PyObject* self) {
  return *reinterpret_cast<WorkerObject*>(self)->inside;
}

struct Arguments {
  worker::Settings settings;
  bool multiprocess = false;
};

bool Parse(PyObject* arguments, PyObject* keywords, Arguments& out) {
  static const char* names[] = {
      "attach", "reactors", "number", "threads", "multiprocess", "app", "python", nullptr};
  const char *attach = nullptr, *app = nullptr, *python = nullptr;
  unsigned reactors = 0, number = 0, threads = 0;
  int multiprocess = 0;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "$sIIIpss:Worker",
                                  const_cast<char**>(names),
                                  &attach,
                                  &reactors,
                                  &number,
                                  &threads,
                                  &multiprocess,
                                  &app,
                                  &python) == 0) {
    return false;
  }
  out = {{.attach = attach,
          .reactors = reactors,
          .number = number,
          .threads = threads,
          .ahead = channel::kAheadMax,
          .app = app,
          .python = python},
         multiprocess != 0};
  return true;
}

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  Arguments parsed;
  if (!Parse(arguments, keywords, parsed)) return nullptr;
  auto inside = std::make_unique<Inside>();
  auto made = worker::Worker::New(parsed.settings, inside->clock);
  if (!made.ok()) {
    PyErr_SetString(PyExc_OSError, made.error().message.c_str());
    return nullptr;
  }
  inside->worker = std::move(made).value();
  if (!inside->environ_maker.Prepare(
          parsed.settings.threads > 1, parsed.multiprocess, "onebox/" ONEBOX_VERSION)) {
    return nullptr;
  }
  const auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* self = allocate(type, 0);
  if (self == nullptr) return nullptr;
  inside->watch.emplace(*inside->worker, inside->interrupter, inside->clock);
  inside->watch->Start();
  reinterpret_cast<WorkerObject*>(self)->inside = inside.release();
  return self;
}

void Delete(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  {
    const WithoutGil others;  // the watch may wait for the GIL; its end is waited for
    Of(self).watch.reset();
  }
  delete reinterpret_cast<WorkerObject*>(self)->inside;
  PyObject_Free(self);
  Py_DECREF(type);
}

// The next request. Waiting costs the others nothing; not having to wait costs no change of threads.
std::optional<worker::TakenRequest> NextRequest(worker::Worker& worker) {
  auto taken = worker.TryNext();
  if (taken) return taken;
  const WithoutGil others;
  return worker.Next();
}

PyObject* Serve(PyObject* self, PyObject* app) {
  const Ref held = Ref::Share(self);
  worker::Place& place = Of(self).watch->NewPlace(PyThread_get_thread_ident());
  while (auto taken = NextRequest(*Of(self).worker)) {
    ++Of(self).requests;
    RunExchange(std::move(*taken), Of(self).environ_maker, app, place);
  }
  Py_RETURN_NONE;
}

PyObject* Drain(PyObject* self, PyObject* /*none*/) {
  {
    const WithoutGil others;  // who holds the worker's lock may want the GIL
    Of(self).worker->Drain();
  }
  Py_RETURN_NONE;
}

PyObject* Failure(PyObject* self, void* /*none*/) {
  std::string failure;
  {
    const WithoutGil others;
    failure = Of(self).worker->failure();
  }
  return PyUnicode_FromStringAndSize(failure.data(), static_cast<Py_ssize_t>(failure.size()));
}

PyObject* Requests(PyObject* self, void* /*none*/) {
  return PyLong_FromUnsignedLongLong(Of(self).requests);
}

PyMethodDef methods[] = {
    {"serve",
     Serve,
     METH_O,
     "serve(app): runs the app for one request after the other, until drained. Any number of "
     "threads."},
    {"drain", Drain, METH_NOARGS, "Asks for no more requests: serve() ends with those that came."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"failure", Failure, nullptr, "Why no front takes this worker, or an empty text.", nullptr},
    {"requests", Requests, nullptr, "How many requests it has begun.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Worker(*, attach, reactors, number, threads, multiprocess, app, python)\n"
                       "--\n\nThe app's side of the channel to the front.")},
    {Py_tp_new, reinterpret_cast<void*>(New)},
    {Py_tp_dealloc, reinterpret_cast<void*>(Delete)},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {0, nullptr},
};

PyType_Spec spec = {"onebox._onebox.Worker", sizeof(WorkerObject), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

bool AddWorkerType(PyObject* module) {
  const Ref type = Ref::Take(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return type && PyModule_AddObjectRef(module, "Worker", type.get()) == 0;
}

}  // namespace onebox::pyext
