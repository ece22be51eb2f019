#include "pyext/python.h"

namespace onebox::pyext {

bool Latin1View(PyObject* text, std::string_view& view, Ref& copy) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 != nullptr && size == PyUnicode_GetLength(text)) {  // ASCII: the same bytes in both
    view = {utf8, static_cast<std::size_t>(size)};
    return true;
  }
  PyErr_Clear();
  copy = Ref::Take(PyUnicode_AsLatin1String(text));
  if (!copy) return false;
  view = ViewOf(copy.get());
  return true;
}

}  // namespace onebox::pyext
