#pragma once
// RobustLock: a lock in memory that processes share, whose holder may die at any instruction.

#include <pthread.h>

#include "base/clock.h"

namespace onebox::shm {

// Lies in shared memory; Initialise() once, before anybody locks it. A holder that dies leaves it to
// the next, who is told: what it guards may be half changed. A holder that is stopped keeps it, so
// nobody waits without an end (pthread_mutexattr_setrobust(3)).
class RobustLock final {
 public:
  enum class Taken : unsigned char {
    kYes,
    kFromTheDead,  // ours; whoever had it died in the middle of what he did
    kNo,           // another has it still
  };

  void Initialise();
  // At once where nobody has it, else after `patience` at the latest.
  [[nodiscard]] Taken Lock(Duration patience);
  [[nodiscard]] Taken TryLock();
  // REQUIRES: this thread has it.
  void Unlock();

 private:
  Taken Conclude(int number);

  pthread_mutex_t mutex_;
};

}  // namespace onebox::shm
