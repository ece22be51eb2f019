#include "os/signal.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "os/error.h"

namespace onebox::os {

Result<SignalQueue> SignalQueue::Open(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : signals) {
    ::sigaddset(&set, number);
  }
  const int failed = ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (failed != 0) return SystemError("pthread_sigmask", failed);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return SystemError("signalfd", errno);
  return SignalQueue(std::move(fd));
}

std::optional<int> SignalQueue::Next() {
  signalfd_siginfo found{};
  if (::read(fd_.get(), &found, sizeof found) != sizeof found) return std::nullopt;
  return static_cast<int>(found.ssi_signo);
}

Status SignalAfter(int number, Duration after) {
  static std::optional<timer_t> timer;
  if (timer) ::timer_delete(*timer);  // in the child of a fork: there is none
  timer.reset();
  if (after == Duration()) return Done();
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = number;
  timer_t made{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &made) != 0)
    return SystemError("timer_create", errno);
  timer = made;
  const auto whole = std::chrono::floor<std::chrono::seconds>(after);
  const itimerspec when{.it_interval = {}, .it_value = {whole.count(), (after - whole).count()}};
  CHECK(::timer_settime(made, 0, &when, nullptr) == 0);
  return Done();
}

int DumpSignal() {
  return SIGRTMAX;
}

std::string SignalName(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

}  // namespace onebox::os
