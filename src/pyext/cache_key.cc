#include "pyext/cache_key.h"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace onebox::pyext {
namespace {

template <typename Number>
void AppendNumber(Number number, std::string& bytes) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof raw);
}

void AppendSized(char type, std::string_view content, std::string& bytes) {
  bytes.push_back(type);
  AppendNumber(static_cast<std::uint32_t>(content.size()), bytes);
  bytes.append(content);
}

bool AppendText(char type, PyObject* text, std::string& bytes) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) return false;
  AppendSized(type, {utf8, static_cast<std::size_t>(size)}, bytes);
  return true;
}

bool AppendInt(PyObject* value, std::string& bytes) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (number == -1 && PyErr_Occurred() != nullptr) return false;
  if (overflow == 0) {
    bytes.push_back('i');
    AppendNumber(static_cast<std::int64_t>(number), bytes);
    return true;
  }
  const Ref digits = Ref::Take(PyNumber_ToBase(value, 16));
  return digits && AppendText('I', digits.get(), bytes);
}

bool AppendAt(PyObject* value, int depth, std::string& bytes) {
  if (PyUnicode_Check(value)) return AppendText('s', value, bytes);
  if (PyBool_Check(value)) {
    bytes.push_back(value == Py_True ? 'T' : 'F');
    return true;
  }
  if (PyLong_Check(value)) return AppendInt(value, bytes);
  if (value == Py_None) {
    bytes.push_back('N');
    return true;
  }
  if (PyBytes_Check(value)) {
    AppendSized('b', ViewOf(value), bytes);
    return true;
  }
  if (PyFloat_Check(value)) {
    bytes.push_back('f');
    AppendNumber(PyFloat_AsDouble(value), bytes);
    return true;
  }
  if (PyTuple_Check(value) && depth < kKeyDepthMax) {
    const Py_ssize_t size = PyTuple_Size(value);
    bytes.push_back('(');
    AppendNumber(static_cast<std::uint32_t>(size), bytes);
    for (Py_ssize_t i = 0; i < size; ++i) {
      if (!AppendAt(PyTuple_GetItem(value, i), depth + 1, bytes)) return false;
    }
    return true;
  }
  PyErr_Format(PyExc_TypeError,
               "a key is a str, bytes, int, float, bool, None or a tuple of these, not %R",
               reinterpret_cast<PyObject*>(Py_TYPE(value)));
  return false;
}

bool IsOfName(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         character == '_' || character == '.' || character == '-';
}

}  // namespace

bool AppendKey(PyObject* value, std::string& bytes) {
  return AppendAt(value, 0, bytes);
}

std::string NameOfKey(PyObject* value) {
  while (PyTuple_Check(value) && PyTuple_Size(value) > 0)
    value = PyTuple_GetItem(value, 0);
  if (!PyUnicode_Check(value)) return {};
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
  if (utf8 == nullptr) {
    PyErr_Clear();
    return {};
  }
  const std::string_view text(utf8, static_cast<std::size_t>(size));
  std::size_t end = 0;
  while (end < text.size() && IsOfName(text[end]))
    ++end;
  return std::string(text.substr(0, end));
}

}  // namespace onebox::pyext
