#include "pyext/greenlet_interrupter.h"

#include <utility>

#include "pyext/interned.h"

namespace onebox::pyext {

GreenletInterrupter::GreenletInterrupter(const worker::Worker& worker)
    : worker_(worker), thread_(PyThread_get_thread_ident()) {}

std::uint64_t GreenletInterrupter::ThreadOf(std::uint64_t /*place*/) const {
  return thread_;
}

// Nobody may sit there any more: then what this says is not used.
std::string GreenletInterrupter::StackOf(std::uint64_t place) {
  const Ref greenlet = Ref::Share(seats_[place].greenlet.get());
  if (!greenlet) return {};
  const Ref thread = Ref::Take(PyLong_FromUnsignedLongLong(thread_));
  return LinesOf(thread ? Ref::Take(PyObject_CallFunctionObjArgs(
                              Known().stack_of_greenlet, greenlet.get(), thread.get(), nullptr))
                        : Ref());
}

void GreenletInterrupter::Raise(std::uint64_t place, channel::CancelReason reason) {
  seats_[place].raised = reason;
  raised_.push_back(place);
  worker_.Wake();
}

void GreenletInterrupter::TakeBack(std::uint64_t place) {
  seats_[place].raised.reset();
}

Ref GreenletInterrupter::NextRaised() {
  while (!raised_.empty()) {
    Sitting& seat = seats_[raised_.back()];
    raised_.pop_back();
    const auto reason = std::exchange(seat.raised, std::nullopt);
    if (reason) {
      return Ref::Take(PyTuple_Pack(2, seat.greenlet.get(), ExceptionFor(*reason)));
    }
  }
  return Ref::Share(Py_None);
}

GreenletInterrupter::Seat::Seat(GreenletInterrupter& seats,
                                worker::DeadlineWatch& watch,
                                PyObject* greenlet)
    : seats_(seats) {
  if (seats_.free_.empty()) {
    name_ = seats_.seats_.size();
    seats_.seats_.push_back({.place = &watch.NewPlace(name_)});
  } else {
    name_ = seats_.free_.back();
    seats_.free_.pop_back();
  }
  seats_.seats_[name_].greenlet = Ref::Share(greenlet);
}

GreenletInterrupter::Seat::~Seat() {
  seats_.TakeBack(name_);
  seats_.free_.push_back(name_);
  seats_.seats_[name_].greenlet = Ref();
}

}  // namespace onebox::pyext
