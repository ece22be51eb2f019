#pragma once
// Keeps the memory of Python stacks that have ended for those that begin.

#include <cstddef>

namespace onebox::pyext {

// CPython gives each greenlet 16 KiB of its own for Python's frames, by mmap, and takes them back at its
// end: with a greenlet a request, these two system calls and the page faults cost more than all else
// that we do. From here on up to `kept_max` are kept for the next. Under the GIL; once, for the
// life of the process. Does nothing where this Python has no such place.
void KeepPythonStacks(std::size_t kept_max);

}  // namespace onebox::pyext
