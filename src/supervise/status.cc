#include "supervise/status.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>

#include "base/json.h"
#include "base/units.h"
#include "os/file.h"
#include "os/poll.h"
#include "os/socket.h"

namespace onebox::supervise {
namespace {

using nlohmann::json;

constexpr Duration kAnswerTimeout = std::chrono::seconds(5);
constexpr Duration kReloadTimeout = std::chrono::minutes(15);
constexpr Duration kStopPause = std::chrono::milliseconds(50);

std::string Ago(const json& value) {
  return FormatDuration(std::chrono::seconds(Number(value)));
}

std::string DescribeCertificate(const json& one) {
  const json& certificate = At(one, "certificate");
  const std::string error = Text(At(one, "error"));
  std::string text = fmt::format("  tls       {}: ", Text(At(one, "name")));
  if (!certificate.is_object() || IsTrue(At(certificate, "placeholder"))) {
    text += "no certificate yet";
  } else {
    text += fmt::format("a certificate of {} until {}",
                        Text(At(certificate, "issuer")),
                        Text(At(certificate, "not_after")));
  }
  if (error.empty()) return text + '\n';
  return text + fmt::format("; failures in a row: {}, the next attempt at {}: {}\n",
                            Number(At(one, "failures")),
                            Text(At(one, "next_attempt")),
                            error);
}

std::string NameOfProcess(const json& process) {
  const std::string role = Text(At(process, "role"));
  std::string name =
      role.ends_with(" worker") ? fmt::format("{} {}", role, Number(At(process, "number"))) : role;
  if (const std::string app = Text(At(process, "app")); !app.empty()) {
    name += fmt::format(" of {}", app);
  }
  return name;
}

std::string DescribeProcess(const json& process, std::size_t width) {
  const bool has_pid = At(process, "pid").is_number();
  const std::uint64_t restarts = Number(At(process, "restarts"));
  const std::uint64_t memory = Number(At(process, "memory"));
  const std::string leaves = Text(At(process, "leaves_because"));
  std::string notes = restarts == 0 ? "" : fmt::format("restarted {}x", restarts);
  if (!leaves.empty()) notes += fmt::format("{}leaves: {}", notes.empty() ? "" : ", ", leaves);
  return fmt::format("  {:<{}} {:>8}  {:<8} {:>10}  {:>9}  {}\n",
                     NameOfProcess(process),
                     width,
                     has_pid ? std::to_string(Number(At(process, "pid"))) : "-",
                     Text(At(process, "state")),
                     has_pid ? Ago(At(process, "uptime")) : "-",
                     memory == 0 ? "-" : fmt::format("{} MiB", memory >> 20U),
                     notes);
}

}  // namespace

std::string ControlPath(const std::string& state) {
  return state + "/control.sock";
}

std::string LockPath(const std::string& state) {
  return state + "/lock";
}

namespace {

struct Question {
  std::string_view what;
  Duration timeout;
  std::string_view name = {};  // of what it is about
};

Result<os::Message> AskForMessage(const std::string& state, const Question& question) {
  const auto address = TRY(os::SocketAddress::Parse("unix:" + ControlPath(state)));
  const auto socket = os::Connect(address, SOCK_SEQPACKET);
  if (!socket.ok()) {
    const int number = socket.error().system_error;
    if (number == ENOENT || number == ECONNREFUSED || number == ENOTDIR) {
      return OperatorError(fmt::format("no onebox runs with the state folder {}", state));
    }
    if (number == EACCES) {
      return OperatorError(fmt::format(
          "the onebox with the state folder {} answers root and the user that started it alone",
          state));
    }
    return socket.error();
  }
  TRY(os::SendDescriptors(
      socket.value(), json{{"ask", question.what}, {"name", question.name}}.dump(), {}));
  const int wanted[] = {socket.value().get()};
  if (os::WaitReadable(wanted, question.timeout).empty()) {
    return OperatorError(fmt::format(
        "the onebox of {} does not answer within {}", state, FormatDuration(question.timeout)));
  }
  auto answer = TRY(os::ReceiveMessage(socket.value(), kStatusBytesMax));
  if (!answer || answer->bytes.empty()) {
    return OperatorError(fmt::format("the onebox of {} ended while it was asked", state));
  }
  return std::move(*answer);
}

Result<std::string> Ask(const std::string& state, const Question& question) {
  return std::move(TRY(AskForMessage(state, question)).bytes);
}

Result<std::uint64_t> AskForGeneration(const std::string& state, std::string_view what) {
  const std::string text = TRY(Ask(state, {what, kReloadTimeout}));
  const json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (IsTrue(At(answer, "reloaded"))) return Number(At(answer, "generation"));
  const std::string story = Text(At(answer, "story"));
  return OperatorError(
      fmt::format("{}{}{}", story, story.empty() ? "" : "\n", Text(At(answer, "error"))));
}

}  // namespace

namespace {

// Other servers that answer, if there are any.
std::string DescribeUpstreams(const json& servers) {
  if (!servers.is_array() || servers.empty()) return {};
  std::string text = fmt::format("\n  {:<12} {:<32} {:<7} {:>6} {:>10} {:>9} {:>10}\n",
                                 "upstream",
                                 "server",
                                 "state",
                                 "asked",
                                 "answers",
                                 "failures",
                                 "wait");
  for (const json& server : servers) {
    text += fmt::format("  {:<12} {:<32} {:<7} {:>6} {:>10} {:>9} {:>7} us\n",
                        Text(At(server, "upstream")),
                        Text(At(server, "server")),
                        Text(At(server, "state")),
                        Number(At(server, "outstanding")),
                        Number(At(server, "answers")),
                        Number(At(server, "failures")),
                        Number(At(server, "wait_us")));
  }
  return text;
}

}  // namespace

Result<std::string> AskStatus(const std::string& state) {
  return Ask(state, {"status", kAnswerTimeout});
}

Result<std::uint64_t> AskReload(const std::string& state) {
  return AskForGeneration(state, "reload");
}

Result<std::uint64_t> AskUpgrade(const std::string& state) {
  return AskForGeneration(state, "upgrade");
}

Status AskStop(const std::string& state) {
  TRY(Ask(state, {"stop", kAnswerTimeout}));
  for (Duration waited{}; waited < kReloadTimeout; waited += kStopPause) {
    const auto lock = os::LockFile(LockPath(state));
    if (lock.ok()) return Done();
    if (lock.error().system_error != EWOULDBLOCK) return lock.error();
    (void)os::WaitReadable({}, kStopPause);
  }
  return OperatorError("it still finishes what has begun");
}

Result<os::Fd> AskMemory(const std::string& state) {
  os::Message answer = TRY(AskForMessage(state, {"memory", kAnswerTimeout}));
  if (answer.descriptors.empty()) {
    return OperatorError(fmt::format("the onebox of {} shares no memory", state));
  }
  return std::move(answer.descriptors.front());
}

Result<std::optional<os::Fd>> AskBroker(const std::string& state) {
  os::Message answer = TRY(AskForMessage(state, {"broker", kAnswerTimeout}));
  if (!answer.descriptors.empty()) return std::optional(std::move(answer.descriptors.front()));
  const json said = json::parse(answer.bytes, nullptr, /*allow_exceptions=*/false);
  const std::string error = Text(At(said, "error"));
  if (error.empty()) return std::optional<os::Fd>();
  return OperatorError(fmt::format("the onebox of {}: {}", state, error));
}

Status AskRenew(const std::string& state, const std::string& name) {
  const std::string text = TRY(Ask(state, {"renew", kAnswerTimeout, name}));
  const std::string error =
      Text(At(json::parse(text, nullptr, /*allow_exceptions=*/false), "error"));
  if (error.empty()) return Done();
  return OperatorError(fmt::format("the onebox of {}: {}", state, error));
}

namespace {

// "hit 10, miss 2"; empty where there are none.
std::string DescribeCounts(const json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items()) {
    if (Number(count) > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, Number(count));
  }
  return text;
}

// Each of several.
std::string DescribeApps(const json& apps) {
  std::string text;
  for (const json& app : apps) {
    text += fmt::format(
        "  app       {}: {}, {} of {} workers ready, {} busy, {} in the queue, {} requests ({})\n",
        Text(At(app, "name")),
        Text(At(app, "target")),
        Number(At(app, "ready")),
        Number(At(app, "workers")),
        Number(At(app, "busy")),
        Number(At(app, "queue")),
        Number(At(app, "requests")),
        Text(At(app, "reason")));
  }
  return text;
}

// Nothing where no route has one.
std::string DescribeResponseCache(const json& cache) {
  const std::string results = DescribeCounts(At(cache, "results"));
  const std::string not_stored = DescribeCounts(At(cache, "not_stored"));
  if (results.empty() && not_stored.empty()) return "";
  std::string text = fmt::format("  kept      {} answers, {}: {}\n",
                                 Number(At(cache, "answers")),
                                 FormatBytes(Number(At(cache, "bytes"))),
                                 results);
  if (!not_stored.empty()) text += fmt::format("  not kept  {}\n", not_stored);
  return text;
}

}  // namespace

std::string DescribeStatus(const std::string& status) {
  const json box = json::parse(status, nullptr, /*allow_exceptions=*/false);
  std::string text = fmt::format("onebox {}   up {}   {}\n",
                                 Text(At(box, "version")),
                                 Ago(At(box, "uptime")),
                                 Text(At(box, "phase")));
  for (const json& address : At(box, "listen")) {
    text += fmt::format("  listens   {}\n", Text(address));
  }
  const std::string target = Text(At(box, "target"));
  const json& apps = At(box, "apps");
  const bool one = !target.empty() && apps.empty();
  if (one) {
    text += fmt::format("  app       {} in {}\n", target, Text(At(box, "chdir")));
  }
  const json& workers = At(box, "workers");
  const std::string reason = Text(At(workers, "reason"));
  const auto limit = Number(At(workers, "concurrency"));
  const bool limited = limit < Number(At(workers, "ready")) * Number(At(workers, "threads"));
  if (one) {
    text += fmt::format("  workers   {} of {} ready, {} {} each, {} busy{}{}\n",
                        Number(At(workers, "ready")),
                        Number(At(workers, "total")),
                        Number(At(workers, "threads")),
                        Text(At(workers, "units")),
                        Number(At(workers, "busy")),
                        limited ? fmt::format(" of at most {}", limit) : "",
                        reason.empty() ? "" : fmt::format(" ({})", reason));
  }
  text += DescribeApps(apps);
  for (const json& certificate : At(box, "certificates")) {
    text += DescribeCertificate(certificate);
  }
  text += fmt::format("  requests  {}, {} errors; {} in the queue, {} connections\n",
                      Number(At(box, "requests")),
                      Number(At(box, "errors")),
                      Number(At(box, "queue")),
                      Number(At(box, "connections")));
  text += DescribeResponseCache(At(box, "response_cache"));
  text += '\n';
  std::size_t width = 14;
  for (const json& process : At(box, "processes"))
    width = std::max(width, NameOfProcess(process).size());
  text += fmt::format(
      "  {:<{}} {:>8}  {:<8} {:>10}  {:>9}\n", "process", width, "pid", "state", "up", "memory");
  for (const json& process : At(box, "processes")) {
    text += DescribeProcess(process, width);
  }
  return text + DescribeUpstreams(At(box, "upstreams"));
}

}  // namespace onebox::supervise
