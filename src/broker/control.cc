#include "broker/control.h"

#include <sys/epoll.h>

#include "os/socket.h"

namespace onebox::broker {
namespace {

constexpr std::size_t kBytesMax = 64 << 10;

}  // namespace

Status Control::Watch() {
  return reactor_.Watch(socket_.get(), *this, EPOLLIN | EPOLLRDHUP);
}

void Control::Tell(const nlohmann::json& message) {
  (void)os::SendDescriptors(socket_, message.dump(), {});
}

void Control::OnReady(std::uint32_t /*events*/) {
  for (;;) {
    const auto message = os::ReceiveMessage(socket_, kBytesMax);
    if (message.ok() && !message.value()) return;
    const bool gone = !message.ok() || message.value()->bytes.empty();
    if (gone) return take_({{"end", true}});
    take_(nlohmann::json::parse(message.value()->bytes, nullptr, /*allow_exceptions=*/false));
  }
}

}  // namespace onebox::broker
