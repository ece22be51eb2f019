#pragma once
// One request and its response, as PEP 3333 has server and app speak of them.

#include <string>
#include <vector>

#include "pyext/environ.h"
#include "pyext/python.h"
#include "pyext/python_interrupter.h"
#include "worker/deadline_watch.h"
#include "worker/worker.h"

namespace onebox::pyext {

// The Python object that start_response() and write() belong to. The app may keep it for as long as
// it likes; when the request has ended there is nothing behind it any more.
PyTypeObject* MakeExchangeType(PyObject* module);

// One, before it runs; it lies on the heap, since the stack of a greenlet that waits is another's.
// Empty with an exception. One that never runs breaks its response off.
Ref NewExchange(worker::TakenRequest taken);
bool IsExchange(PyObject* object);

// What runs the app, and how it waits for the front.
struct Runner {
  EnvironMaker& environ_maker;
  PyObject* app = nullptr;
  worker::Place& place;  // where it runs
  PythonInterrupter& interrupter;
  PyObject* greenlet = nullptr;  // that runs it, or null: a thread does
  // Called with the exchange where the front must read or acknowledge first; lets other greenlets
  // run, and returns when trying again may help. Null: this thread sleeps, without the GIL.
  PyObject* wait = nullptr;
};

// Runs the app for one request and sends what it answers. Whatever the app raises ends here: in the
// log, and in a 500 or a broken response. Under the GIL, which others get while it waits. Once.
void RunExchange(PyObject* exchange, const Runner& runner);

// Whether it waits for the client to take more of its response. Nothing where it has ended.
bool IsHeldBack(PyObject* exchange);

// Of the module. Seconds that the caller's request has left; None where he runs none.
PyObject* Deadline(PyObject* module, PyObject* none);

}  // namespace onebox::pyext
