#include "pyext/cache_value.h"

#include <cstring>

namespace onebox::pyext {
namespace {

bool EncodeWith(const Coder& coder, PyObject* value, cache::Value& out) {
  const Ref dumped = Ref::Take(PyObject_CallFunctionObjArgs(coder.dumps.get(), value, nullptr));
  if (!dumped) return false;
  out.codec = static_cast<std::uint8_t>(coder.codec);
  if (PyBytes_Check(dumped.get())) {
    out.bytes.assign(ViewOf(dumped.get()));
    return true;
  }
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(dumped.get(), &size);
  if (utf8 == nullptr) return false;
  out.bytes.assign(utf8, static_cast<std::size_t>(size));
  return true;
}

}  // namespace

bool Encode(const Coder& coder, PyObject* value, cache::Value& out) {
  if (PyBytes_CheckExact(value)) {
    out.codec = static_cast<std::uint8_t>(Codec::kBytes);
    out.bytes.assign(ViewOf(value));
    return true;
  }
  if (PyUnicode_CheckExact(value)) {
    Py_ssize_t size = 0;
    if (const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size)) {
      out.codec = static_cast<std::uint8_t>(Codec::kText);
      out.bytes.assign(utf8, static_cast<std::size_t>(size));
      return true;
    }
    PyErr_Clear();  // lone surrogates: the codec may know a way
  }
  if (PyLong_CheckExact(value)) {
    int overflow = 0;
    const std::int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
      out.codec = static_cast<std::uint8_t>(Codec::kNumber);
      out.bytes.assign(reinterpret_cast<const char*>(&number), sizeof number);
      return true;
    }
  }
  return EncodeWith(coder, value, out);
}

Ref Decode(const Coder& coder, const cache::Value& value) {
  const auto size = static_cast<Py_ssize_t>(value.bytes.size());
  switch (static_cast<Codec>(value.codec)) {
    case Codec::kBytes:
      return Bytes(value.bytes);
    case Codec::kText:
      return Ref::Take(PyUnicode_DecodeUTF8(value.bytes.data(), size, "strict"));
    case Codec::kNumber: {
      std::int64_t number = 0;
      if (value.bytes.size() == sizeof number)
        std::memcpy(&number, value.bytes.data(), sizeof number);
      return Ref::Take(PyLong_FromLongLong(number));
    }
    case Codec::kJson:
    case Codec::kPickle:
      break;
  }
  if (static_cast<Codec>(value.codec) != coder.codec) {
    PyErr_SetString(PyExc_ValueError, "this value was written with another codec");
    return {};
  }
  const Ref bytes = coder.codec == Codec::kJson
                        ? Ref::Take(PyUnicode_DecodeUTF8(value.bytes.data(), size, "strict"))
                        : Bytes(value.bytes);
  if (!bytes) return {};
  return Ref::Take(PyObject_CallFunctionObjArgs(coder.loads.get(), bytes.get(), nullptr));
}

}  // namespace onebox::pyext
