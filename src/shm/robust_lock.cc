#include "shm/robust_lock.h"

#include <cerrno>
#include <ctime>

#include "base/check.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace onebox::shm {
namespace {

constexpr long kNanosecondsPerSecond = 1'000'000'000;

timespec After(Duration patience) {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  const auto later = time.tv_nsec + patience.count();
  return {time.tv_sec + later / kNanosecondsPerSecond, later % kNanosecondsPerSecond};
}

int LockUntil(pthread_mutex_t& mutex, const timespec& until) {
#ifdef __SANITIZE_THREAD__  // that of g++ 12 does not know the call
  __tsan_mutex_pre_lock(&mutex, __tsan_mutex_try_lock);
#endif
  const int number = ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
#ifdef __SANITIZE_THREAD__
  const bool taken = number == 0 || number == EOWNERDEAD;
  __tsan_mutex_post_lock(
      &mutex, __tsan_mutex_try_lock | (taken ? 0 : __tsan_mutex_try_lock_failed), 0);
#endif
  return number;
}

}  // namespace

void RobustLock::Initialise() {
  pthread_mutexattr_t attributes;
  CHECK(::pthread_mutexattr_init(&attributes) == 0);
  CHECK(::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  CHECK(::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  CHECK(::pthread_mutex_init(&mutex_, &attributes) == 0);
  CHECK(::pthread_mutexattr_destroy(&attributes) == 0);
}

RobustLock::Taken RobustLock::Lock(Duration patience) {
  const Taken taken = TryLock();
  if (taken != Taken::kNo || patience <= Duration::zero()) return taken;
  const timespec until = After(patience);
  return Conclude(LockUntil(mutex_, until));
}

RobustLock::Taken RobustLock::TryLock() {
  return Conclude(::pthread_mutex_trylock(&mutex_));
}

void RobustLock::Unlock() {
  CHECK(::pthread_mutex_unlock(&mutex_) == 0);
}

RobustLock::Taken RobustLock::Conclude(int number) {
  if (number == 0) return Taken::kYes;
  if (number == EOWNERDEAD) {
    CHECK(::pthread_mutex_consistent(&mutex_) == 0);
    return Taken::kFromTheDead;
  }
  // Whatever else it says (memory that a process has scribbled over), it is not ours.
  return Taken::kNo;
}

}  // namespace onebox::shm
