#include "broker/client.h"

#include <array>
#include <utility>

#include <sys/epoll.h>

#include "base/wire.h"
#include "os/stream_socket.h"

namespace onebox::broker {
namespace {

using nlohmann::json;
using Length = std::uint32_t;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;

}  // namespace

void AppendMessage(std::string& out, const json& message) {
  // What an app has put into a name or a traceback need not be UTF-8.
  const std::string text = message.dump(-1, ' ', false, json::error_handler_t::replace);
  Writer(out).WriteText(text);
}

Status Client::Watch() {
  return reactor_.Watch(socket_.get(), *this, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

void Client::OnReady(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) Write();
  if (open()) Read();
}

void Client::Read() {
  std::array<char, kReadBytes> buffer{};
  while (open() && taken_ < kMessagesPerTurn) {
    const os::Moved moved = os::Receive(socket_, buffer);
    if (moved.state == os::Moved::State::kNotNow) return;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return End();
    in_.append(buffer.data(), moved.bytes);
    Parse();
  }
}

void Client::Parse() {
  std::string_view rest = in_;
  while (open() && taken_ < kMessagesPerTurn && rest.size() >= sizeof(Length)) {
    Reader reader(rest);
    const auto length = reader.Read<Length>();
    if (length > kMessageBytesMax) return End();
    if (reader.rest().size() < length) break;
    json message =
        json::parse(reader.rest().substr(0, length), nullptr, /*allow_exceptions=*/false);
    rest = reader.rest().substr(length);
    if (!message.is_object()) return End();
    ++taken_;
    owner_.take(*this, std::move(message));
  }
  in_.erase(0, in_.size() - rest.size());
}

bool Client::Continue() {
  const bool stopped = taken_ >= kMessagesPerTurn;
  taken_ = 0;
  if (!stopped || !open()) return false;
  Parse();
  Read();
  return true;
}

void Client::Send(const json& message) {
  if (!open()) return;
  const bool first = out_.empty();
  AppendMessage(out_, message);
  if (first) Write();
  if (out_.size() > kUnsentBytesMax) End();
}

void Client::Write() {
  while (open() && !out_.empty()) {
    const std::string_view part = out_;
    const os::Moved moved = os::Send(socket_, {&part, 1});
    if (moved.state == os::Moved::State::kNotNow) return;
    if (moved.state == os::Moved::State::kGone) return End();
    out_.erase(0, moved.bytes);
  }
}

void Client::CloseOfDead() {
  while (open() && Continue()) {
  }
  Read();
  if (open()) End();
}

void Client::End() {
  reactor_.Unwatch(socket_.get(), *this);
  socket_.Reset();
  owner_.closed(*this);
}

}  // namespace onebox::broker
