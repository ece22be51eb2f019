#pragma once
// wsgi.file_wrapper: a file that the app returns, for us to send as a file where it is one.

#include <cstdint>
#include <optional>

#include "channel/response.h"
#include "os/fd.h"
#include "pyext/python.h"

namespace onebox::pyext {

PyTypeObject* MakeFileWrapperType(PyObject* module);

bool IsFileWrapper(PyObject* object);

// A regular file from where it stands to its end.
struct WrappedFile {
  int descriptor = -1;  // the file object's own
  channel::FileRange rest = {};
};
// Nothing where the wrapped object is no such file: then it is read like any iterable. Never leaves
// an exception. REQUIRES: IsFileWrapper(wrapper).
std::optional<WrappedFile> FileOf(PyObject* wrapper);

}  // namespace onebox::pyext
