#include "upstream/resolver.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "http/address.h"
#include "os/socket.h"

namespace onebox::upstream {

// Shared with the thread, which may outlive the Resolver in a look-up.
struct Resolver::State {
  struct Name {
    Server* server;  // not after `closed`
    std::string host;
    std::uint16_t port;
    std::string shown = {};  // the addresses that it had, for the log
  };
  std::vector<Name> names;        // the thread's own
  telemetry::Log* log = nullptr;  // not after `closed`
  std::mutex mutex;
  std::condition_variable changed;
  bool looked = false;  // at each once
  bool closed = false;
};

namespace {

// An address needs no name server.
bool SetAtOnce(Server& server) {
  const ServerAddress& address = server.address();
  if (!address.is_unix() && !http::ParseAddress(address.host)) return false;
  if (address.is_unix()) {
    auto path = os::SocketAddress::Parse("unix:" + address.path);
    if (path.ok()) server.SetAddresses({std::move(path).value()});
    return true;
  }
  auto found = os::Resolve(address.host, address.port);
  if (found.ok()) server.SetAddresses(std::move(found).value());
  return true;
}

std::string TextOf(const std::vector<os::SocketAddress>& addresses) {
  std::string text;
  for (const os::SocketAddress& address : addresses)
    text.append(text.empty() ? "" : ", ").append(address.text());
  return text;
}

}  // namespace

Resolver::Resolver(const std::vector<std::unique_ptr<Upstream>>& upstreams, telemetry::Log& log) {
  std::vector<State::Name> names;
  for (const auto& upstream : upstreams) {
    for (const auto& server : upstream->servers()) {
      if (SetAtOnce(*server)) continue;
      names.push_back({server.get(), server->address().host, server->address().port});
    }
  }
  if (names.empty()) return;
  state_ = std::make_shared<State>();
  state_->names = std::move(names);
  state_->log = &log;
  std::thread([state = state_] { Run(state); }).detach();
}

Resolver::~Resolver() {
  if (state_ == nullptr) return;
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->changed.notify_all();
}

void Resolver::WaitForFirst(Duration timeout) {
  if (state_ == nullptr) return;
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, timeout, [this] { return state_->looked; });
}

void Resolver::Run(const std::shared_ptr<State>& state) {
  for (;;) {
    bool all_found = true;
    for (State::Name& name : state->names) {
      auto found = os::Resolve(name.host, name.port);
      const std::lock_guard lock(state->mutex);
      if (state->closed) return;
      if (!found.ok() || found.value().empty()) {
        all_found = false;
        state->log->Warning("upstream server {}: {}",
                            name.server->name(),
                            found.ok() ? "it has no address" : found.error().message);
        continue;
      }
      std::string shown = TextOf(found.value());
      if (!name.shown.empty() && shown != name.shown) {
        state->log->Info("upstream server {} is at {} now", name.server->name(), shown);
      }
      name.shown = std::move(shown);
      name.server->SetAddresses(std::move(found).value());
    }
    std::unique_lock lock(state->mutex);
    state->looked = true;
    state->changed.notify_all();
    state->changed.wait_for(
        lock, all_found ? kResolveInterval : kResolveAgain, [&] { return state->closed; });
    if (state->closed) return;
  }
}

}  // namespace onebox::upstream
