#pragma once
// What is made once, when the extension is imported, and lives as long as the interpreter.

#include "pyext/python.h"

namespace onebox::pyext {

struct Interned {
  // Types of this extension.
  PyTypeObject* exchange = nullptr;
  PyTypeObject* error_stream = nullptr;
  PyTypeObject* file_wrapper = nullptr;

  // From the standard library.
  PyObject* bytes_io = nullptr;          // io.BytesIO
  PyObject* open = nullptr;              // io.open
  PyObject* file_io = nullptr;           // io.FileIO
  PyObject* buffered_reader = nullptr;   // io.BufferedReader
  PyObject* buffered_random = nullptr;   // io.BufferedRandom
  PyObject* format_exception = nullptr;  // traceback.format_exception

  // From Onebox's Python side.
  PyObject* cancelled = nullptr;            // onebox.Cancelled and what is derived from it
  PyObject* deadline_exceeded = nullptr;    // onebox.DeadlineExceeded
  PyObject* client_disconnected = nullptr;  // onebox.ClientDisconnected
  PyObject* stack_of_thread = nullptr;      // onebox.stacks.of_thread
  PyObject* stack_of_greenlet = nullptr;    // onebox.stacks.of_greenlet

  // Names, as str.
  PyObject* close = nullptr;
  PyObject* read = nullptr;
  PyObject* fileno = nullptr;
  PyObject* tell = nullptr;
  PyObject* raw = nullptr;
  PyObject* file = nullptr;
};

// REQUIRES: MakeInterned() has returned true, which it does once, at import.
const Interned& Known();
bool MakeInterned(PyObject* module);

}  // namespace onebox::pyext
