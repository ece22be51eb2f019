#include "os/poll.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <poll.h>

namespace onebox::os {
namespace {

timespec Timespec(Duration timeout) {
  const auto nanoseconds = std::max<Duration::rep>(timeout.count(), 0);
  return {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
}

}  // namespace

std::vector<int> WaitReadable(std::span<const int> wanted, std::optional<Duration> timeout) {
  std::vector<pollfd> polled;
  polled.reserve(wanted.size());
  for (const int fd : wanted) {
    polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  const timespec left = Timespec(timeout.value_or(Duration::zero()));
  std::vector<int> ready;
  if (::ppoll(polled.data(), polled.size(), timeout ? &left : nullptr, nullptr) <= 0) return ready;
  for (const pollfd& one : polled) {
    if (one.revents != 0) ready.push_back(one.fd);
  }
  return ready;
}

Readiness WaitReady(int fd, Readiness wanted, const Fd& interrupt, Duration timeout) {
  const int events = (wanted.reading ? POLLIN : 0) | (wanted.writing ? POLLOUT : 0);
  std::array<pollfd, 2> polled = {{{.fd = fd, .events = static_cast<short>(events), .revents = 0},
                                   {.fd = interrupt.get(), .events = POLLIN, .revents = 0}}};
  const timespec left = Timespec(timeout);
  if (::ppoll(polled.data(), polled.size(), &left, nullptr) <= 0) return {};
  const int ready = polled[0].revents;
  if ((ready & ~(POLLIN | POLLOUT)) != 0) return wanted;  // what it is asked next tells the error
  return {.reading = (ready & POLLIN) != 0, .writing = (ready & POLLOUT) != 0};
}

}  // namespace onebox::os
