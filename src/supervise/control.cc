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

ControlSocket ControlSocket::Adopt(const std::string& state,
                                   os::Fd listener,
                                   std::vector<os::Fd> waiting) {
  ControlSocket adopted(std::move(listener), ControlPath(state));
  for (os::Fd& socket : waiting) {
    adopted.callers_.push_back({++adopted.last_, std::move(socket)});
  }
  return adopted;
}

std::vector<ControlSocket::Client> ControlSocket::clients() const {
  std::vector<Client> names;
  for (const Caller& caller : callers_) {
    names.push_back(caller.name);
  }
  return names;
}

int ControlSocket::SocketOf(Client client) const {
  for (const Caller& caller : callers_) {
    if (caller.name == client) return caller.socket.get();
  }
  return -1;
}

void ControlSocket::Wanted(std::vector<int>& fds) const {
  fds.push_back(listener_.get());
  for (const Caller& caller : callers_) {
    fds.push_back(caller.socket.get());
  }
}

void ControlSocket::Serve(const Answer& answer) {
  while (true) {
    auto accepted = os::Accept(listener_);
    if (!accepted.ok() || !accepted.value()) break;
    if (callers_.size() == kClientsMax) callers_.erase(callers_.begin());
    callers_.push_back({++last_, std::move(accepted.value()->socket)});
  }
  std::erase_if(callers_, [&answer](const Caller& caller) {
    const auto question = os::ReceiveMessage(caller.socket, kQuestionBytesMax);
    if (question.ok() && !question.value()) return false;  // still awaited, or waits for a reply
    if (!question.ok() || question.value()->bytes.empty()) return true;  // has left
    const auto answered = answer(question.value()->bytes, caller.name);
    if (!answered) return false;
    const int sent = answered->given.valid() ? answered->given.get() : answered->descriptor;
    const std::span<const int> descriptors(&sent, sent < 0 ? 0 : 1);
    (void)os::SendDescriptors(caller.socket, answered->text, descriptors);  // may have left
    return true;
  });
}

void ControlSocket::Reply(Client to, std::string_view answer) {
  std::erase_if(callers_, [&](const Caller& caller) {
    if (caller.name != to) return false;
    (void)os::SendDescriptors(caller.socket, answer, {});
    return true;
  });
}

void ControlSocket::Close() {
  listener_.Reset();
  callers_.clear();
}

}  // namespace onebox::supervise
