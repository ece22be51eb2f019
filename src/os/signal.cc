#include "os/signal.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

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

std::string SignalName(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

}  // namespace onebox::os
