#include "supervise/control.h"

#include <utility>

#include "os/file.h"
#include "os/socket.h"
#include "supervise/status.h"

namespace onebox::supervise {
namespace {

constexpr std::size_t kQuestionBytesMax = 4096;
constexpr unsigned kOwnerOnly = 0600;

}  // namespace

Result<ControlSocket> ControlSocket::Open(const std::string& state) {
  const std::string path = ControlPath(state);
  os::RemoveFile(path);  // of a box that was killed: we hold the lock
  const auto address = TRY(os::SocketAddress::Parse("unix:" + path));
  os::Fd listener = TRY(os::Listen(address, {.backlog_max = kClientsMax, .type = SOCK_SEQPACKET}));
  TRY(os::SetMode(path, kOwnerOnly));
  return ControlSocket(std::move(listener), path);
}

void ControlSocket::Wanted(std::vector<int>& fds) const {
  fds.push_back(listener_.get());
  for (const os::Fd& client : clients_) {
    fds.push_back(client.get());
  }
}

void ControlSocket::Serve(const Answer& answer) {
  while (true) {
    auto accepted = os::Accept(listener_);
    if (!accepted.ok() || !accepted.value()) break;
    if (clients_.size() == kClientsMax) clients_.erase(clients_.begin());
    clients_.push_back(std::move(accepted.value()->socket));
  }
  std::erase_if(clients_, [&answer](const os::Fd& client) {
    const auto question = os::ReceiveMessage(client, kQuestionBytesMax);
    if (question.ok() && !question.value()) return false;  // still awaited
    if (question.ok() && !question.value()->bytes.empty()) {
      (void)os::SendDescriptors(client, answer(question.value()->bytes), {});  // may have left
    }
    return true;
  });
}

void ControlSocket::Close() {
  listener_.Reset();
  clients_.clear();
}

}  // namespace onebox::supervise
