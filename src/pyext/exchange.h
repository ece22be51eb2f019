#pragma once
// One request and its response, as PEP 3333 has server and app speak of them.

#include <string>
#include <vector>

#include "pyext/environ.h"
#include "pyext/python.h"
#include "worker/deadline_watch.h"
#include "worker/worker.h"

namespace onebox::pyext {

// The Python object that start_response() and write() belong to. The app may keep it for as long as
// it likes; when the request has ended there is nothing behind it any more.
PyTypeObject* MakeExchangeType(PyObject* module);

// Runs the app for one request and sends what it answers. Whatever the app raises ends here: in the
// log, and in a 500 or a broken response. Under the GIL, which others get while it waits. `place` is
// this thread's.
void RunExchange(worker::TakenRequest taken,
                 EnvironMaker& environ_maker,
                 PyObject* app,
                 worker::Place& place);

// Of the module. Seconds that the request of this thread has left; None where it runs none.
PyObject* Deadline(PyObject* module, PyObject* none);

}  // namespace onebox::pyext
