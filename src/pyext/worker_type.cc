#include "pyext/worker_type.h"

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "os/clock.h"
#include "pyext/environ.h"
#include "pyext/exchange.h"
#include "pyext/greenlet_interrupter.h"
#include "pyext/running.h"
#include "pyext/thread_interrupter.h"
#include "worker/deadline_watch.h"
#include "worker/worker.h"

namespace onebox::pyext {
namespace {

struct Inside {
  os::SystemClock clock;
  std::unique_ptr<worker::Worker> worker;
  ThreadInterrupter threads;
  std::optional<GreenletInterrupter> greenlets;  // where they run the requests
  std::optional<worker::DeadlineWatch> watch;
  EnvironMaker environ_maker;
  std::uint64_t requests = 0;  // begun; under the GIL
};

PythonInterrupter& InterrupterOf(Inside& inside) {
  if (inside.greenlets) return *inside.greenlets;
  return inside.threads;
}

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
  PyObject* current = nullptr;  // greenlet.getcurrent, or null
};

bool Parse(PyObject* arguments, PyObject* keywords, Arguments& out) {
  static const char* names[] = {"attach",
                                "reactors",
                                "number",
                                "threads",
                                "multiprocess",
                                "app",
                                "python",
                                "current",
                                nullptr};
  const char *attach = nullptr, *app = nullptr, *python = nullptr;
  unsigned reactors = 0, number = 0, threads = 0;
  int multiprocess = 0;
  PyObject* current = nullptr;
  if (PyArg_ParseTupleAndKeywords(arguments,
                                  keywords,
                                  "$sIIIpssO:Worker",
                                  const_cast<char**>(names),
                                  &attach,
                                  &reactors,
                                  &number,
                                  &threads,
                                  &multiprocess,
                                  &app,
                                  &python,
                                  &current) == 0) {
    return false;
  }
  out = {{.attach = attach,
          .reactors = reactors,
          .number = number,
          .threads = threads,
          .ahead = channel::kAheadMax,
          .app = app,
          .python = python},
         multiprocess != 0,
         current == Py_None ? nullptr : current};
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
  if (parsed.current != nullptr) {
    KnowGreenletsBy(parsed.current);
    inside->greenlets.emplace(*inside->worker);
  }
  inside->watch.emplace(*inside->worker, InterrupterOf(*inside), inside->clock);
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
    const Ref exchange = NewExchange(std::move(*taken));
    if (!exchange) return nullptr;
    ++Of(self).requests;
    RunExchange(exchange.get(),
                {.environ_maker = Of(self).environ_maker,
                 .app = app,
                 .place = place,
                 .interrupter = Of(self).threads});
  }
  Py_RETURN_NONE;
}

// --- for an event loop ---------------------------------------------------------

PyObject* Descriptor(PyObject* self, PyObject* /*none*/) {
  return PyLong_FromLong(Of(self).worker->descriptor());
}

PyObject* Attend(PyObject* self, PyObject* /*none*/) {
  const auto at_latest = Of(self).worker->Attend();
  if (!at_latest) Py_RETURN_NONE;
  return PyFloat_FromDouble(std::chrono::duration<double>(*at_latest).count());
}

PyObject* Take(PyObject* self, PyObject* /*none*/) {
  auto taken = Of(self).worker->TryNext();
  if (!taken) Py_RETURN_NONE;
  return NewExchange(std::move(*taken)).Release();
}

PyObject* MayWait(PyObject* self, PyObject* /*none*/) {
  return PyBool_FromLong(Of(self).worker->MayWait() ? 1 : 0);
}

PyObject* Run(PyObject* self, PyObject* arguments) {
  PyObject *exchange = nullptr, *app = nullptr, *wait = nullptr;
  if (PyArg_ParseTuple(arguments, "OOO:run", &exchange, &app, &wait) == 0) return nullptr;
  if (!IsExchange(exchange)) {
    PyErr_SetString(PyExc_TypeError, "run() takes what take() gives");
    return nullptr;
  }
  const Ref held = Ref::Share(self);
  Inside& inside = Of(self);
  if (!inside.greenlets) {
    PyErr_SetString(PyExc_RuntimeError, "run() is for greenlets; threads call serve()");
    return nullptr;
  }
  const Ref greenlet = CurrentGreenlet();
  if (!greenlet) return nullptr;
  const GreenletInterrupter::Seat seat(*inside.greenlets, *inside.watch, greenlet.get());
  ++inside.requests;
  RunExchange(exchange,
              {.environ_maker = inside.environ_maker,
               .app = app,
               .place = seat.place(),
               .interrupter = *inside.greenlets,
               .greenlet = greenlet.get(),
               .wait = wait});
  Py_RETURN_NONE;
}

PyObject* HeldBack(PyObject* /*self*/, PyObject* exchange) {
  return PyBool_FromLong(IsExchange(exchange) && IsHeldBack(exchange) ? 1 : 0);
}

PyObject* NextRaised(PyObject* self, PyObject* /*none*/) {
  if (!Of(self).greenlets) Py_RETURN_NONE;
  return Of(self).greenlets->NextRaised().Release();
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
    {"fileno",
     Descriptor,
     METH_NOARGS,
     "What an event loop watches for reading, to call attend()."},
    {"attend",
     Attend,
     METH_NOARGS,
     "Reads what has come, without waiting. Seconds after which to call it again; None: when "
     "fileno() is ready."},
    {"take", Take, METH_NOARGS, "The next request, to be run; None where none is there."},
    {"may_wait",
     MayWait,
     METH_NOARGS,
     "Whether an event loop may go on, since nothing is left to take()."},
    {"run",
     Run,
     METH_VARARGS,
     "run(exchange, app, wait): runs the app for a request. wait(exchange) is called where the "
     "front must read first."},
    {"held_back", HeldBack, METH_O, "held_back(exchange): whether trying again cannot help yet."},
    {"next_raised",
     NextRaised,
     METH_NOARGS,
     "(greenlet, exception) that the hub is to throw there at once, after attend(); None: no "
     "more."},
    {nullptr, nullptr, 0, nullptr},
};

PyObject* Draining(PyObject* self, void* /*none*/) {
  return PyBool_FromLong(Of(self).worker->draining() ? 1 : 0);
}

PyGetSetDef attributes[] = {
    {"draining", Draining, nullptr, "Whether what take() does not give is not to come.", nullptr},
    {"failure", Failure, nullptr, "Why no front takes this worker, or an empty text.", nullptr},
    {"requests", Requests, nullptr, "How many requests it has begun.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Worker(*, attach, reactors, number, threads, multiprocess, app, python, "
                       "current)\n"
                       "--\n\nThe app's side of the channel to the front. current: "
                       "greenlet.getcurrent, where greenlets run the requests, else None.")},
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
