#include "pyext/running.h"

#include <unordered_map>

namespace onebox::pyext {
namespace {

thread_local const channel::Request* of_thread = nullptr;

// Of one hub's greenlets, under the GIL. Lives as long as the process.
struct Greenlets {
  PyObject* current;
  std::unordered_map<PyObject*, const channel::Request*> requests;
};
Greenlets* greenlets = nullptr;

}  // namespace

void KnowGreenletsBy(PyObject* current) {
  if (greenlets == nullptr) greenlets = new Greenlets{Ref::Share(current).Release(), {}};
}

Ref CurrentGreenlet() {
  return greenlets == nullptr ? Ref() : Ref::Take(PyObject_CallNoArgs(greenlets->current));
}

Running::Running(const channel::Request& request, PyObject* greenlet) : greenlet_(greenlet) {
  if (greenlet_ == nullptr) {
    of_thread = &request;
  } else {
    greenlets->requests[greenlet_] = &request;
  }
}

Running::~Running() {
  if (greenlet_ == nullptr) {
    of_thread = nullptr;
  } else {
    greenlets->requests.erase(greenlet_);
  }
}

const channel::Request* RunningRequest() {
  if (greenlets == nullptr) return of_thread;
  const Ref current = CurrentGreenlet();
  if (!current) {
    PyErr_Clear();
    return nullptr;
  }
  const auto found = greenlets->requests.find(current.get());
  return found == greenlets->requests.end() ? nullptr : found->second;
}

}  // namespace onebox::pyext
