#pragma once
// CPython by its limited API (3.11): the one way to it, with references that count themselves.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <string_view>
#include <utility>

#include <Python.h>

namespace onebox::pyext {

// A reference that is ours to give back. Empty where a call has failed: then an exception is set.
class Ref final {
 public:
  Ref() = default;
  // Of a call that returns a new reference.
  static Ref Take(PyObject* object) { return Ref(object); }
  static Ref Share(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  Ref(Ref&& other) noexcept : object_(other.Release()) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* before = std::exchange(object_, other.Release());
    Py_XDECREF(before);  // last: it may run Python, which may look here
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  [[nodiscard]] PyObject* Release() { return std::exchange(object_, nullptr); }

 private:
  explicit Ref(PyObject* object) : object_(object) {}

  PyObject* object_ = nullptr;
};

// Lets other Python threads run; nothing of Python may be touched meanwhile.
class WithoutGil final {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { PyEval_RestoreThread(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// A str that holds these bytes, one character a byte: how WSGI has it (PEP 3333, "Unicode Issues").
inline Ref Latin1(std::string_view bytes) {
  return Ref::Take(
      PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr));
}

inline Ref Bytes(std::string_view bytes) {
  return Ref::Take(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

// What a bytes object holds, for as long as it lives.
inline std::string_view ViewOf(PyObject* bytes) {
  return {PyBytes_AsString(bytes), static_cast<std::size_t>(PyBytes_Size(bytes))};
}

// The bytes of a str that holds nothing above U+00FF, for as long as it and `copy` live. False with
// an exception where it is none.
bool Latin1View(PyObject* text, std::string_view& view, Ref& copy);

}  // namespace onebox::pyext
