#include "attach/attach_listener.h"

#include <utility>

#include <sys/epoll.h>

#include "os/socket.h"

namespace onebox::attach {
namespace {

constexpr std::size_t kGreetingsMax = 64;  // workers that have connected and not yet spoken

}  // namespace

Status AttachListener::Watch() {
  return reactor_.Watch(socket_.get(), *this, EPOLLIN);
}

Status AttachListener::Greeting::Watch() {
  return listener_.reactor_.Watch(socket_.get(), *this, EPOLLIN | EPOLLRDHUP);
}

void AttachListener::Greeting::OnReady(std::uint32_t /*events*/) {
  const auto hello = channel::FrontEnd::ReceiveHello(socket_);
  if (hello.ok() && !hello.value()) return;
  listener_.reactor_.Unwatch(socket_.get(), *this);
  if (hello.ok()) {
    listener_.Welcome(std::move(socket_), *hello.value());
  } else {
    listener_.log_.Error("a worker is not taken: {}", hello.error().message);
  }
  listener_.Forget(*this);
}

void AttachListener::OnReady(std::uint32_t /*events*/) {
  for (;;) {
    auto accepted = os::Accept(socket_);
    if (!accepted.ok() || !accepted.value()) return;
    // Anybody on the machine may knock at an abstract socket; only our own may come in.
    const auto user = os::PeerUser(accepted.value()->socket);
    const bool ours = user.ok() && user.value() == os::OurUser();
    if (!ours || greetings_.size() >= kGreetingsMax) continue;
    auto& greeting = greetings_.emplace_back(
        std::make_unique<Greeting>(*this, std::move(accepted.value()->socket)));
    if (!greeting->Watch().ok()) greetings_.pop_back();
  }
}

void AttachListener::Welcome(os::Fd socket, const channel::Hello& hello) {
  auto end = channel::FrontEnd::Welcome(std::move(socket), hello);
  if (!end.ok()) {
    log_.Error("worker {}: {}", hello.pid, end.error().message);
    return;
  }
  take_(std::move(end).value());
}

void AttachListener::Forget(Greeting& greeting) {
  // Called from within it: it goes when the turn is over.
  reactor_.Post([this, gone = &greeting] {
    std::erase_if(greetings_, [gone](const auto& one) { return one.get() == gone; });
  });
}

}  // namespace onebox::attach
