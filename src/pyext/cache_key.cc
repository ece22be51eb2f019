#include "pyext/cache_key.h"

#include <string_view>

#include "cache/key_text.h"

namespace onebox::pyext {
namespace {

bool AppendStr(PyObject* text, std::string& bytes) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) return false;
  cache::AppendText({utf8, static_cast<std::size_t>(size)}, bytes);
  return true;
}

bool AppendInt(PyObject* value, std::string& bytes) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (number == -1 && PyErr_Occurred() != nullptr) return false;
  if (overflow == 0) {
    cache::AppendInteger(number, bytes);
    return true;
  }
  const Ref digits = Ref::Take(PyNumber_ToBase(value, 16));
  Py_ssize_t size = 0;
  const char* text = digits ? PyUnicode_AsUTF8AndSize(digits.get(), &size) : nullptr;
  if (text == nullptr) return false;
  cache::AppendLargeInteger({text, static_cast<std::size_t>(size)}, bytes);
  return true;
}

bool AppendAt(PyObject* value, int depth, std::string& bytes) {
  if (PyUnicode_Check(value)) return AppendStr(value, bytes);
  if (PyBool_Check(value)) return cache::AppendBool(value == Py_True, bytes), true;
  if (PyLong_Check(value)) return AppendInt(value, bytes);
  if (value == Py_None) return cache::AppendNone(bytes), true;
  if (PyBytes_Check(value)) return cache::AppendBytes(ViewOf(value), bytes), true;
  if (PyFloat_Check(value)) return cache::AppendFloat(PyFloat_AsDouble(value), bytes), true;
  if (PyTuple_Check(value) && depth < cache::kKeyDepthMax) {
    const Py_ssize_t size = PyTuple_Size(value);
    cache::BeginTuple(static_cast<std::uint32_t>(size), bytes);
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

KeyName NameOfKey(PyObject* value) {
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
  using Named = cache::Cache::Named;
  return {text.substr(0, end), end == text.size() ? Named::kByItself : Named::kByABegin};
}

}  // namespace onebox::pyext
