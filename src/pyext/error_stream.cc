#include "pyext/error_stream.h"

#include <new>
#include <string>

#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"
#include "pyext/interned.h"

namespace onebox::pyext {
namespace {

constexpr std::size_t kLineBytesMax = 64 << 10;  // of a line without an end; then it gets one

struct ErrorStream {
  PyObject head;
  std::string id;
  std::string unfinished;
};

ErrorStream* Of(PyObject* self) {
  return reinterpret_cast<ErrorStream*>(self);
}

void Delete(PyObject* self) {
  ErrorStream* stream = Of(self);
  if (!stream->unfinished.empty()) LogLines(stream->id, stream->unfinished);
  stream->id.~basic_string();
  stream->unfinished.~basic_string();
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyObject* Flush(PyObject* self, PyObject* /*none*/) {
  const std::string text = std::exchange(Of(self)->unfinished, {});
  if (!text.empty()) LogLines(Of(self)->id, text);
  Py_RETURN_NONE;
}

// What ends with a line break goes out, the rest waits.
bool Append(PyObject* self, PyObject* text) {
  if (PyUnicode_Check(text) == 0) {
    PyErr_SetString(PyExc_TypeError, "wsgi.errors takes str");
    return false;
  }
  const Ref bytes = Ref::Take(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!bytes) return false;
  std::string& unfinished = Of(self)->unfinished;
  unfinished += ViewOf(bytes.get());
  const std::size_t end = unfinished.rfind('\n');
  const std::size_t size = end != std::string::npos            ? end + 1
                           : unfinished.size() > kLineBytesMax ? unfinished.size()
                                                               : 0;
  if (size == 0) return true;
  const std::string lines = unfinished.substr(0, size);  // ours: another thread may write meanwhile
  unfinished.erase(0, size);
  LogLines(Of(self)->id, lines);
  return true;
}

PyObject* Write(PyObject* self, PyObject* text) {
  if (!Append(self, text)) return nullptr;
  return PyLong_FromSsize_t(PyUnicode_GetLength(text));
}

PyObject* WriteLines(PyObject* self, PyObject* lines) {
  const Ref iterator = Ref::Take(PyObject_GetIter(lines));
  if (!iterator) return nullptr;
  while (const Ref line = Ref::Take(PyIter_Next(iterator.get()))) {
    if (!Append(self, line.get())) return nullptr;
  }
  if (PyErr_Occurred() != nullptr) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"write", Write, METH_O, "Writes text to the log."},
    {"writelines", WriteLines, METH_O, "Writes each text of an iterable to the log."},
    {"flush", Flush, METH_NOARGS, "Sends an unfinished line on its way."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("wsgi.errors of one request: the log, with the request's id.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(Delete)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"onebox._onebox.ErrorStream",
                    sizeof(ErrorStream),
                    0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

PyTypeObject* MakeErrorStreamType(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

Ref NewErrorStream(std::string_view request_id) {
  PyTypeObject* type = Known().error_stream;
  const auto allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  Ref object = Ref::Take(allocate(type, 0));
  if (!object) return object;
  new (&Of(object.get())->id) std::string(request_id);
  new (&Of(object.get())->unfinished) std::string();
  return object;
}

void LogLines(std::string_view request_id, std::string_view text) {
  const WithoutGil others;
  LogLinesWithoutGil(request_id, text);
}

void LogLinesWithoutGil(std::string_view request_id, std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines += request_id;
    lines += ' ';
    lines += text.substr(0, end);
    lines += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  os::Fd standard_error(STDERR_FILENO);
  // A log that cannot be written has nobody to be told to.
  static_cast<void>(os::WriteAll(standard_error, lines));
  static_cast<void>(standard_error.Release());
}

void LogException(std::string_view request_id, std::string_view what) {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  const Ref owned[] = {Ref::Take(type), Ref::Take(value), Ref::Take(traceback)};
  std::string text(what);
  const auto or_none = [](PyObject* object) { return object != nullptr ? object : Py_None; };
  const Ref lines = Ref::Take(PyObject_CallFunctionObjArgs(
      Known().format_exception, or_none(type), or_none(value), or_none(traceback), nullptr));
  const Ref nothing = Ref::Take(PyUnicode_FromStringAndSize("", 0));
  const Ref joined = lines ? Ref::Take(PyUnicode_Join(nothing.get(), lines.get())) : Ref();
  const Ref bytes =
      joined ? Ref::Take(PyUnicode_AsEncodedString(joined.get(), "utf-8", "backslashreplace"))
             : Ref();
  PyErr_Clear();
  text += '\n';
  text += bytes ? ViewOf(bytes.get()) : "(its traceback could not be made)";
  LogLines(request_id, text);
}

}  // namespace onebox::pyext
