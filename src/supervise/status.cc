#include "supervise/status.h"

#include <cerrno>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "os/poll.h"
#include "os/socket.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

constexpr Duration kAnswerTimeout = std::chrono::seconds(5);
constexpr std::string_view kQuestion = R"({"ask":"status"})";

// A member of an object, or null where it is not there.
const json& At(const json& object, const char* key) {
  static const json missing;
  if (!object.is_object()) return missing;
  const auto found = object.find(key);
  return found == object.end() ? missing : *found;
}

std::string Text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::uint64_t Number(const json& value) {
  return value.is_number() ? value.get<std::uint64_t>() : 0;
}

std::string Ago(const json& value) {
  return FormatDuration(std::chrono::seconds(Number(value)));
}

std::string DescribeProcess(const json& process) {
  const std::string role = Text(At(process, "role"));
  const std::string name =
      role == "front" ? role : fmt::format("{} {}", role, Number(At(process, "number")));
  const bool has_pid = At(process, "pid").is_number();
  const std::uint64_t restarts = Number(At(process, "restarts"));
  return fmt::format("  {:<14} {:>8}  {:<8} {:>10}  {}\n",
                     name,
                     has_pid ? std::to_string(Number(At(process, "pid"))) : "-",
                     Text(At(process, "state")),
                     has_pid ? Ago(At(process, "uptime")) : "-",
                     restarts == 0 ? "" : fmt::format("restarted {}x", restarts));
}

}  // namespace

std::string ControlPath(const std::string& state) {
  return state + "/control.sock";
}

Result<std::string> AskStatus(const std::string& state) {
  const auto address = TRY(os::SocketAddress::Parse("unix:" + ControlPath(state)));
  const auto socket = os::Connect(address, SOCK_SEQPACKET);
  if (!socket.ok()) {
    const int number = socket.error().system_error;
    if (number == ENOENT || number == ECONNREFUSED || number == ENOTDIR) {
      return OperatorError(fmt::format("no onebox runs with the state folder {}", state));
    }
    return socket.error();
  }
  TRY(os::SendDescriptors(socket.value(), kQuestion, {}));
  const int wanted[] = {socket.value().get()};
  if (os::WaitReadable(wanted, kAnswerTimeout).empty()) {
    return OperatorError(fmt::format(
        "the onebox of {} does not answer within {}", state, FormatDuration(kAnswerTimeout)));
  }
  auto answer = TRY(os::ReceiveMessage(socket.value(), kStatusBytesMax));
  if (!answer || answer->bytes.empty()) {
    return OperatorError(fmt::format("the onebox of {} ended while it was asked", state));
  }
  return std::move(answer->bytes);
}

std::string DescribeStatus(const std::string& status) {
  const json box = json::parse(status, nullptr, /*allow_exceptions=*/false);
  std::string text = fmt::format("onebox {}   up {}   {}\n",
                                 Text(At(box, "version")),
                                 Ago(At(box, "uptime")),
                                 Text(At(box, "phase")));
  for (const json& address : At(box, "listen")) {
    text += fmt::format("  listens   {}\n", Text(address));
  }
  text += fmt::format("  app       {} in {}\n", Text(At(box, "target")), Text(At(box, "chdir")));
  const json& workers = At(box, "workers");
  text += fmt::format("  workers   {} of {} ready, {} threads each, {} busy\n",
                      Number(At(workers, "ready")),
                      Number(At(workers, "total")),
                      Number(At(workers, "threads")),
                      Number(At(workers, "busy")));
  text += fmt::format("  requests  {}, {} errors; {} in the queue, {} connections\n\n",
                      Number(At(box, "requests")),
                      Number(At(box, "errors")),
                      Number(At(box, "queue")),
                      Number(At(box, "connections")));
  text += fmt::format("  {:<14} {:>8}  {:<8} {:>10}\n", "process", "pid", "state", "up");
  for (const json& process : At(box, "processes")) {
    text += DescribeProcess(process);
  }
  return text;
}

}  // namespace onebox::supervise
