#pragma once
// A cache's key: the bytes that stand for a Python value, and for no other.

#include <string>

#include "pyext/python.h"

namespace onebox::pyext {

// Appends `value`: None, bool, int, float, str, bytes, or a tuple of these, up to kKeyDepthMax deep.
// Values that differ in type or content differ in their bytes: 1, True, "1" and ("1",) are four keys.
// False with an exception.
bool AppendKey(PyObject* value, std::string& bytes);
inline constexpr int kKeyDepthMax = 16;

// What the statistics call a key: its first text, up to the first character that is none of a name. It
// is empty where there is none.
std::string NameOfKey(PyObject* value);

}  // namespace onebox::pyext
