#pragma once
// How long to wait before a process that died is started again.

#include "base/clock.h"

namespace onebox::supervise {

// No time after a first death and a second, 100 ms after the next, twice as long after each one more,
// 10 s at most. A life of 30 s is forgiven all that came before; one of less than a second waits 100 ms
// at least.
class Backoff {
 public:
  explicit Backoff(const Clock& clock) : clock_(clock) {}

  void Started() { started_ = clock_.Now(); }
  Duration Died();  // how long to wait now
  int deaths_in_a_row() const { return deaths_in_a_row_; }

 private:
  const Clock& clock_;
  Time started_{};
  Duration next_{};
  int deaths_in_a_row_ = 0;
};

}  // namespace onebox::supervise
