#pragma once
// GreenletInterrupter: a greenlet's stack, and an exception for it that the hub is to throw.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pyext/python_interrupter.h"

namespace onebox::pyext {

// A greenlet can be reached only by the thread that it runs in, and only while another runs there. So
// what is raised waits here until the hub takes it, and is taken back where its request ends before.
// A place's name is the number of a seat: one of these who run at the same time has it.
//
// Made in the hub's thread. All but what the watch calls: there, and under the GIL.
class GreenletInterrupter final : public PythonInterrupter {
 public:
  explicit GreenletInterrupter(const worker::Worker& worker);

  std::uint64_t ThreadOf(std::uint64_t place) const override;
  std::string StackOf(std::uint64_t place) override;
  void Raise(std::uint64_t place, channel::CancelReason reason) override;
  void TakeBack(std::uint64_t place) override;

  // The current greenlet's place, until it is left.
  class Seat;

  // What the hub is to throw now, and into whom; it asks for the next when it has. Nothing: None.
  // A new tuple (greenlet, exception), or empty with an exception.
  Ref NextRaised();

 private:
  struct Sitting {
    worker::Place* place;
    Ref greenlet = {};  // while somebody sits there
    std::optional<channel::CancelReason> raised = std::nullopt;
  };

  const worker::Worker& worker_;
  const std::uint64_t thread_;
  // Under the GIL.
  std::vector<Sitting> seats_;  // by name; only grows, to as many as run at the same time
  std::vector<std::uint64_t> free_;
  std::vector<std::uint64_t> raised_;  // names of seats; what was taken back is passed over
};

// Outlived by the interrupter and the watch.
class GreenletInterrupter::Seat final {
 public:
  // `greenlet`: the one that runs.
  Seat(GreenletInterrupter& seats, worker::DeadlineWatch& watch, PyObject* greenlet);
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  worker::Place& place() const { return *seats_.seats_[name_].place; }

 private:
  GreenletInterrupter& seats_;
  std::uint64_t name_;
};

}  // namespace onebox::pyext
