#include "main/broker_client.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/json.h"
#include "base/units.h"
#include "base/wire.h"
#include "broker/client.h"
#include "os/clock.h"
#include "os/stream_socket.h"
#include "os/wait.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;

Error Silent() {
  return OperatorError(
      fmt::format("the broker does not answer within {}", FormatDuration(BrokerClient::kPatience)));
}

Error Gone() {
  return OperatorError("the broker ended while it was asked; it is started again");
}

Duration Left(Time deadline) {
  return deadline - os::SystemClock().Now();
}

}  // namespace

Result<BrokerClient> BrokerClient::Open(const std::string& state, std::string_view what) {
  auto socket = TRY(supervise::AskBroker(state));
  if (!socket) return OperatorError(fmt::format("this app has had no {} so far", what));
  return BrokerClient(std::move(*socket));
}

Result<json> BrokerClient::Ask(json question) {
  const Time deadline = os::SystemClock().Now() + kPatience;
  question["n"] = ++asked_;
  std::string bytes;
  broker::AppendMessage(bytes, question);
  TRY(Send(bytes, deadline));
  json answer = TRY(Receive(deadline));
  if (Number(At(answer, "n")) != asked_) return OperatorError("the broker answers something else");
  const json& error = At(answer, "error");
  if (error.is_string()) return OperatorError(Text(error));
  return answer;
}

Status BrokerClient::Send(std::string_view bytes, Time deadline) {
  while (!bytes.empty()) {
    const os::Moved moved = os::Send(socket_, {&bytes, 1});
    if (moved.state == os::Moved::State::kGone) return Gone();
    bytes.remove_prefix(moved.bytes);
    if (moved.state != os::Moved::State::kNotNow) continue;
    if (!os::WaitWritable(socket_, Left(deadline))) return Silent();
  }
  return Done();
}

Result<json> BrokerClient::Receive(Time deadline) {
  std::array<char, kReadBytes> buffer{};
  for (;;) {
    Reader reader(in_);
    const auto length = reader.Read<std::uint32_t>();
    if (reader.ok() && length > broker::kMessageBytesMax) {
      return OperatorError("the broker's answer is longer than any may be");
    }
    const std::string_view text = reader.ReadBytes(length);
    if (reader.ok()) {
      json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
      in_.erase(0, sizeof length + length);
      return answer;
    }
    if (!os::WaitReadable(socket_, Left(deadline))) return Silent();
    const os::Moved moved = os::Receive(socket_, buffer);
    if (moved.state == os::Moved::State::kNotNow) continue;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) return Gone();
    in_.append(buffer.data(), moved.bytes);
  }
}

}  // namespace onebox::main
