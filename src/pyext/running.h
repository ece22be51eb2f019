#pragma once
// Which request it is that the caller runs.

#include "channel/request.h"
#include "pyext/python.h"

namespace onebox::pyext {

// From now on a request belongs to the greenlet that runs it, and no more to its thread. `current`:
// greenlet.getcurrent. Once, under the GIL, before a request runs.
void KnowGreenletsBy(PyObject* current);

// The greenlet that runs, where they are known; else empty, or empty with an exception.
Ref CurrentGreenlet();

// While it lives, its request is the one that this greenlet runs; without one, that this thread runs.
// Under the GIL. The greenlet and the request outlive it.
class Running final {
 public:
  Running(const channel::Request& request, PyObject* greenlet);
  ~Running();
  // From now on it is nobody's to ask for: an answer that has begun has no deadline.
  void AnswerBegins() { request_ = nullptr; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  friend const channel::Request* RunningRequest();
  const channel::Request* request_;
  PyObject* const greenlet_;
};

// The caller's request, until its answer begins; else null. Under the GIL.
const channel::Request* RunningRequest();

}  // namespace onebox::pyext
