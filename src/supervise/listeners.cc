#include "supervise/listeners.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "os/file.h"
#include "os/process.h"

namespace onebox::supervise {
namespace {

// The admin address is the last.
std::vector<os::SocketAddress> All(const Addresses& addresses) {
  std::vector<os::SocketAddress> all = addresses.app;
  if (addresses.admin) all.push_back(*addresses.admin);
  return all;
}

std::string ShownAs(const os::SocketAddress& address) {
  return address.is_unix() ? address.text() : fmt::format("http://{}", address.text());
}

}  // namespace

// The path goes with the socket: the next box may want it before this one has ended.
void Listeners::RemovePath(const Listener& listener) {
  const std::string path = listener.asked.unix_path();
  if (!path.empty() && !listener.handed_over) os::RemoveFile(path);
}

void Listeners::Adopt(const std::vector<os::HandedOver>& handed_over) {
  for (const os::HandedOver& one : handed_over) {
    auto found = std::find_if(open_.begin(), open_.end(), [&one](const Listener& listener) {
      return listener.socket.get() == one.descriptor;
    });
    if (found == open_.end()) {
      found = open_.insert(found,
                           {.asked = one.address, .socket = os::Fd(one.descriptor), .shown = {}});
    }
    found->shown = ShownAs(one.address) + " (handed over)";
    found->handed_over = true;
  }
}

std::vector<int> Listeners::Match(const Addresses& addresses) const {
  std::vector<int> matched;
  for (const os::SocketAddress& address : All(addresses)) {
    int found = -1;
    for (int i = 0; i < static_cast<int>(open_.size()) && found < 0; ++i) {
      const bool taken = std::find(matched.begin(), matched.end(), i) != matched.end();
      if (!taken && open_[static_cast<std::size_t>(i)].asked.text() == address.text()) found = i;
    }
    matched.push_back(found);
  }
  return matched;
}

Status Listeners::Open(const Addresses& addresses) {
  const std::size_t before = open_.size();
  const auto all = All(addresses);
  const auto matched = Match(addresses);
  Status opened = Done();
  for (std::size_t i = 0; i < all.size() && opened.ok(); ++i) {
    if (matched[i] >= 0) continue;
    auto socket = os::Listen(all[i], {.for_all = true});
    auto bound = socket.ok() ? os::SocketAddress::Of(socket.value())
                             : Result<os::SocketAddress>(socket.error());
    if (bound.ok()) {
      open_.push_back(
          {.asked = all[i], .socket = std::move(socket).value(), .shown = ShownAs(bound.value())});
    } else {
      opened = bound.error();
    }
  }
  for (; !opened.ok() && open_.size() > before; open_.pop_back()) {
    RemovePath(open_.back());
  }
  return opened;
}

void Listeners::Keep(const Addresses& addresses) {
  const auto matched = Match(addresses);
  std::vector<Listener> kept;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (std::find(matched.begin(), matched.end(), static_cast<int>(i)) != matched.end()) {
      kept.push_back(std::move(open_[i]));
    } else {
      RemovePath(open_[i]);
    }
  }
  open_ = std::move(kept);
}

std::vector<std::pair<std::string, int>> Listeners::ForSuccessor() const {
  std::vector<std::pair<std::string, int>> sockets;
  for (const Listener& listener : open_) {
    sockets.emplace_back(listener.asked.text(), listener.socket.get());
  }
  return sockets;
}

Status Listeners::Adopt(const std::string& asked, os::Fd socket) {
  const auto address = TRY(os::SocketAddress::Parse(asked));
  const auto bound = TRY(os::SocketAddress::Of(socket));
  os::CloseAtExecute(socket.get());
  open_.push_back({address, std::move(socket), ShownAs(bound)});
  return Done();
}

std::vector<std::string> Listeners::Shown(const Addresses& addresses) const {
  std::vector<std::string> shown;
  const auto matched = Match(addresses);
  for (std::size_t i = 0; i < addresses.app.size(); ++i) {
    if (matched[i] < 0) continue;
    std::string& one = shown.emplace_back(open_[static_cast<std::size_t>(matched[i])].shown);
    const bool secure = i < addresses.secure.size() && addresses.secure[i];
    if (secure && one.starts_with("http://")) one = fmt::format("https{}", one.substr(4));
  }
  return shown;
}

std::string Listeners::ShownAdmin(const Addresses& addresses) const {
  const int last = addresses.admin ? Match(addresses).back() : -1;
  return last < 0 ? "" : open_[static_cast<std::size_t>(last)].shown;
}

Listeners::Sockets Listeners::Take(const Addresses& addresses) {
  Sockets taken;
  for (const int found : Match(addresses)) {
    CHECK(found >= 0);
    taken.app.push_back(std::move(open_[static_cast<std::size_t>(found)].socket));
  }
  if (addresses.admin) {
    taken.admin = std::move(taken.app.back());
    taken.app.pop_back();
  }
  open_.clear();
  return taken;
}

}  // namespace onebox::supervise
