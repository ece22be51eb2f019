#include "os/poll.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>

namespace onebox::os {

std::vector<int> WaitReadable(std::span<const int> wanted, std::optional<Duration> timeout) {
  std::vector<pollfd> polled;
  polled.reserve(wanted.size());
  for (const int fd : wanted) {
    polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  timespec left{};
  if (timeout) {
    const auto nanoseconds = std::max<Duration::rep>(timeout->count(), 0);
    left = {.tv_sec = nanoseconds / 1'000'000'000, .tv_nsec = nanoseconds % 1'000'000'000};
  }
  std::vector<int> ready;
  if (::ppoll(polled.data(), polled.size(), timeout ? &left : nullptr, nullptr) <= 0) return ready;
  for (const pollfd& one : polled) {
    if (one.revents != 0) ready.push_back(one.fd);
  }
  return ready;
}

}  // namespace onebox::os
