#pragma once
// A cache's key: the bytes that stand for a Python value, and for no other.

#include <string>
#include <string_view>

#include "cache/cache.h"
#include "pyext/python.h"

namespace onebox::pyext {

// Appends `value`, as cache/key_text.h has it. False with an exception where it is no key.
bool AppendKey(PyObject* value, std::string& bytes);

// What the statistics call a key: its first text, up to the first character that is none of a name. It
// is empty where there is none.
struct KeyName {
  std::string_view text = {};  // lasts as long as the key
  cache::Cache::Named named = cache::Cache::Named::kByItself;
};
KeyName NameOfKey(PyObject* value);

}  // namespace onebox::pyext
