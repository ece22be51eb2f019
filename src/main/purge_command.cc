#include "main/purge_command.h"

#include <array>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/json.h"
#include "http/characters.h"
#include "main/command_line.h"
#include "main/status_command.h"
#include "os/poll.h"
#include "os/socket.h"
#include "os/stream_socket.h"
#include "supervise/status.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kUsage =
    R"help(onebox purge [--state DIR] URL: lets a running box forget the answers that it keeps of a URL.

  onebox purge /prices/de?all=1     of a URL, on all hosts or, with http://HOST before it, on one
  onebox purge --prefix /prices/    of all URLs that begin so
  onebox purge --tag prices:de      of all that have the tag

  --state DIR                       of the box; else that of the current folder's app, or the only one

What apps keep themselves, in the shared cache, is purged by onebox cache.
)help";
constexpr Duration kAnswerTimeout = std::chrono::seconds(10);
constexpr std::size_t kAnswerBytesMax = 4096;

// The answer's body: {"purged":3}.
Result<std::string> Receive(const os::Fd& socket) {
  std::string answer;
  std::array<char, kAnswerBytesMax> buffer{};
  const int wanted[] = {socket.get()};
  while (answer.size() < kAnswerBytesMax) {
    if (os::WaitReadable(wanted, kAnswerTimeout).empty()) break;
    const os::Moved moved = os::Receive(socket, buffer);
    if (moved.state == os::Moved::State::kNotNow) continue;
    if (moved.state == os::Moved::State::kGone || moved.bytes == 0) break;
    answer.append(buffer.data(), moved.bytes);
  }
  const std::size_t body = answer.find("\r\n\r\n");
  if (body == answer.npos) return OperatorError("the front does not answer");
  return answer.substr(body + 4);
}

Result<std::string> Purge(const PurgeLine& line, const std::string& state) {
  const json status =
      json::parse(TRY(supervise::AskStatus(state)), nullptr, /*allow_exceptions=*/false);
  const std::string path = Text(At(status, "data")) + "/purge";
  const auto address = TRY(os::SocketAddress::Parse("unix:" + path));
  const auto socket = os::Connect(address, SOCK_STREAM);
  if (!socket.ok()) return OperatorError(fmt::format("the front keeps no answers ({})", path));
  const std::string target = line.url.empty() ? "/" : line.url;
  std::string request =
      fmt::format("PURGE {} HTTP/1.1\r\nHost: onebox\r\nConnection: close\r\n", target);
  if (!line.prefix.empty()) request += fmt::format("Purge-Prefix: {}\r\n", line.prefix);
  if (!line.tag.empty()) request += fmt::format("Purge-Tag: {}\r\n", line.tag);
  request += "\r\n";
  const std::string_view bytes = request;
  const os::Moved sent = os::Send(socket.value(), {&bytes, 1});  // small: it fits
  if (sent.state != os::Moved::State::kDone || sent.bytes != bytes.size()) {
    return OperatorError("the front does not listen");
  }
  const json answer =
      json::parse(TRY(Receive(socket.value())), nullptr, /*allow_exceptions=*/false);
  if (!At(answer, "purged").is_number()) return OperatorError("the front does not take that");
  const std::uint64_t purged = Number(At(answer, "purged"));
  if (line.json) return fmt::format("{{\"purged\":{}}}\n", purged);
  return fmt::format("purged {}\n", purged);
}

}  // namespace

int PurgeAnswers(std::span<const std::string> words, const Caller& caller) {
  PurgeLine line = ReadPurgeLine(words, caller.folder);
  const auto given = [](const std::string& text) { return std::size_t{!text.empty()}; };
  if (line.mistakes.empty() && !line.help &&
      given(line.url) + given(line.prefix) + given(line.tag) != 1) {
    line.mistakes.emplace_back("expected a URL, --prefix or --tag");
  }
  for (const std::string* text : {&line.url, &line.prefix, &line.tag}) {
    if (http::AllAre(http::kVisibleCharacter, *text)) continue;
    line.mistakes.push_back(
        fmt::format("expected visible characters, a URL percent-encoded, got {}", *text));
  }
  return AnswerLine(
      line, kUsage, caller, [&](const std::string& state) { return Purge(line, state); });
}

}  // namespace onebox::main
