#include "front/listener.h"

#include <array>
#include <utility>

#include <sys/epoll.h>

#include "os/stream_socket.h"

namespace onebox::front {
namespace {

constexpr std::string_view kFullAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 24\r\nRetry-After: 1\r\nConnection: close\r\n\r\n503 Service Unavailable\n";
constexpr Duration kRetryDelay = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(os::Fd socket, Parts parts)
    : socket_(std::move(socket)), parts_(std::move(parts)) {}

Listener::~Listener() {
  Stop();
}

Status Listener::Watch() {
  return parts_.reactor.Watch(socket_.get(), *this, EPOLLIN);
}

void Listener::Stop() {
  if (!socket_.valid()) return;
  parts_.reactor.timers().Disarm(*this);
  parts_.reactor.Unwatch(socket_.get(), *this);
  socket_.Reset();
}

void Listener::OnReady(std::uint32_t /*events*/) {
  Accept();
}

void Listener::Accept() {
  while (socket_.valid()) {
    auto accepted = os::Accept(socket_);
    if (!accepted.ok()) {
      // No descriptors or no memory: those that wait stay in the kernel's queue until some are free.
      parts_.lane.Add(telemetry::Limit::kDescriptors);
      return parts_.reactor.timers().Arm(*this, parts_.reactor.now() + kRetryDelay);
    }
    if (!accepted.value()) return;
    parts_.lane.Add(telemetry::Counter::kConnectionsAccepted);
    const Admission admission = parts_.admit(accepted.value()->peer);
    if (admission == Admission::kYes) {
      parts_.adopt(std::move(*accepted.value()));
    } else if (admission == Admission::kFull) {
      // One attempt: nothing is kept for whom we do not serve. What it has sent is read first, since
      // a close() with unread input sends a reset, which may overtake the answer.
      std::array<char, 4096> request{};
      os::Receive(accepted.value()->socket, request);
      parts_.lane.CountAnswer(503, telemetry::Step::kAccept);
      if (parts_.secure == Secure::kNo) os::Send(accepted.value()->socket, {&kFullAnswer, 1});
    }
  }
}

}  // namespace onebox::front
