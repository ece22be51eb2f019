#include "os/wait.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::os {
namespace {

// Rounded up, so that a wait for a little is not a loop of waits for nothing.
int Milliseconds(Duration timeout) {
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return static_cast<int>(std::clamp<std::int64_t>(whole, 0, INT_MAX));
}

short Poll(const Fd& fd, short events, Duration timeout) {
  pollfd asked{fd.get(), events, 0};
  return ::poll(&asked, 1, Milliseconds(timeout)) > 0 ? asked.revents : short{0};
}

}  // namespace

// Not std::atomic::wait: that one's futex is private to the process.
void WaitWhile(const std::atomic<std::uint32_t>& word, std::uint32_t value, Duration timeout) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  const timespec limit{seconds.count(), (timeout - seconds).count()};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
}

void WakeAll(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

Result<Fd> NewWakeup() {
  Fd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) return SystemError("eventfd", errno);
  return wakeup;
}

void Wake(const Fd& wakeup) {
  const std::uint64_t one = 1;
  // Fails only where the counter is full, and then the sleeper has been woken already.
  [[maybe_unused]] const ssize_t written = ::write(wakeup.get(), &one, sizeof one);
}

bool PeerClosed(const Fd& socket) {
  return (Poll(socket, POLLRDHUP, Duration::zero()) & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool WaitWritable(const Fd& socket, Duration timeout) {
  return Poll(socket, POLLOUT, timeout) != 0;
}

bool WaitReadable(const Fd& socket, Duration timeout) {
  return Poll(socket, POLLIN, timeout) != 0;
}

Result<ReadySet> ReadySet::New() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return SystemError("epoll_create1", errno);
  return ReadySet(std::move(epoll));
}

Status ReadySet::Add(const Fd& fd, std::uint32_t token) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.u32 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) {
    return SystemError("epoll_ctl", errno);
  }
  return Done();
}

std::vector<std::uint32_t> ReadySet::Wait(std::optional<Duration> timeout) const {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(),
                                 events.data(),
                                 static_cast<int>(events.size()),
                                 timeout ? Milliseconds(*timeout) : -1);
  std::vector<std::uint32_t> tokens;
  tokens.reserve(static_cast<std::size_t>(std::max(count, 0)));
  for (int i = 0; i < count; ++i)
    tokens.push_back(events[static_cast<std::size_t>(i)].data.u32);
  return tokens;
}

}  // namespace onebox::os
