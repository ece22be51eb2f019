#include "pyext/running.h"

#include <unordered_map>

namespace onebox::pyext {
namespace {

thread_local const Running* of_thread = nullptr;

// Of one hub's greenlets, under the GIL. Lives as long as the process.
struct Greenlets {
  PyObject* current;
  std::unordered_map<PyObject*, const Running*> running;
};
Greenlets* greenlets = nullptr;

}  // namespace

void KnowGreenletsBy(PyObject* current) {
  if (greenlets == nullptr) greenlets = new Greenlets{Ref::Share(current).Release(), {}};
}

Ref CurrentGreenlet() {
  return greenlets == nullptr ? Ref() : Ref::Take(PyObject_CallNoArgs(greenlets->current));
}

Running::Running(const channel::Request& request, PyObject* greenlet)
    : request_(&request), greenlet_(greenlet) {
  if (greenlet_ == nullptr) {
    of_thread = this;
  } else {
    greenlets->running[greenlet_] = this;
  }
}

Running::~Running() {
  if (greenlet_ == nullptr) {
    of_thread = nullptr;
  } else {
    greenlets->running.erase(greenlet_);
  }
}

const channel::Request* RunningRequest() {
  if (greenlets == nullptr) return of_thread == nullptr ? nullptr : of_thread->request_;
  const Ref current = CurrentGreenlet();
  if (!current) {
    PyErr_Clear();
    return nullptr;
  }
  const auto found = greenlets->running.find(current.get());
  return found == greenlets->running.end() ? nullptr : found->second->request_;
}

}  // namespace onebox::pyext
