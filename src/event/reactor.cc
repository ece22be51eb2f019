#include "event/reactor.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include "os/error.h"

namespace onebox::event {

Result<std::unique_ptr<Reactor>> Reactor::New(const Clock& clock) {
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return os::SystemError("epoll_create1", errno);
  os::Fd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) return os::SystemError("eventfd", errno);
  std::unique_ptr<Reactor> reactor(new Reactor(clock, std::move(epoll), std::move(wakeup)));
  TRY(reactor->Watch(reactor->wakeup_fd_.get(), reactor->wakeup_, EPOLLIN));
  return reactor;
}

Reactor::Reactor(const Clock& clock, os::Fd epoll, os::Fd wakeup)
    : clock_(clock),
      epoll_(std::move(epoll)),
      wakeup_fd_(std::move(wakeup)),
      now_(clock.Now()),
      timers_(now_) {}

Status Reactor::Watch(int fd, Watcher& watcher, std::uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &watcher;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return os::SystemError("epoll_ctl", errno);
  }
  return Done();
}

void Reactor::Unwatch(int fd, const Watcher& watcher) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = 0; i < event_count_; ++i) {
    if (events_[i].data.ptr == &watcher) events_[i].data.ptr = nullptr;
  }
}

void Reactor::Wakeup::OnReady(std::uint32_t /*events*/) {
  std::uint64_t count = 0;
  // Nothing to read is fine: the work was found already.
  [[maybe_unused]] const ssize_t size = ::read(reactor_.wakeup_fd_.get(), &count, sizeof count);
  reactor_.RunPosted();
}

void Reactor::RunPosted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const auto& one : work)
    one();
}

void Reactor::Post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;  // somebody has woken it already
  const std::uint64_t one = 1;
  CHECK(::write(wakeup_fd_.get(), &one, sizeof one) == sizeof one);
}

void Reactor::Stop() {
  Post([this] { stopped_ = true; });
}

Duration Reactor::SleepTime(Duration sleep_max) {
  for (TurnEnd* turn_end : turn_ends_) {
    if (turn_end->OnTurnEnd()) sleep_max = Duration(0);
  }
  const auto deadline = timers_.NextDeadline();
  if (deadline) sleep_max = std::clamp(*deadline - now_, Duration(0), sleep_max);
  return sleep_max;
}

void Reactor::Turn(Duration sleep_max) {
  const Duration sleep = SleepTime(sleep_max);
  // Rounded up, or a timer due in 0.4 ms would spin.
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(
      sleep + std::chrono::nanoseconds(999'999));
  const int count = ::epoll_wait(epoll_.get(),
                                 events_.data(),
                                 static_cast<int>(kEventsMax),
                                 static_cast<int>(milliseconds.count()));
  CHECK(count >= 0 || errno == EINTR);
  now_ = clock_.Now();
  event_count_ = static_cast<std::size_t>(std::max(count, 0));
  for (std::size_t i = 0; i < event_count_; ++i) {
    auto* watcher = static_cast<Watcher*>(events_[i].data.ptr);
    if (watcher != nullptr) watcher->OnReady(events_[i].events);
  }
  event_count_ = 0;
  timers_.AdvanceTo(now_);
}

void Reactor::Run() {
  stopped_ = false;
  while (!stopped_)
    Turn(std::chrono::seconds(60));
}

}  // namespace onebox::event
