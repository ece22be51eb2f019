#include "main/python.h"

#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "main/settings.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/poll.h"
#include "os/random.h"

namespace onebox::main {
namespace {

constexpr Duration kAnswerTimeout = std::chrono::seconds(30);
constexpr std::size_t kWrittenBytesMax = 4 << 20;
constexpr int kToldWhy = 4;  // an exit status of our Python side

Error NoAnswer(std::string_view why, std::string_view written) {
  while (written.ends_with('\n')) {
    written.remove_suffix(1);
  }
  std::string message(written);
  if (!why.empty()) message += fmt::format("{}{}", message.empty() ? "" : "\n", why);
  return OperatorError(message);
}

// All that the process writes until it ends. Not until the end of file: a process that it started
// may hold the other end for ever.
Result<std::string> ReadUntilItEnds(os::Spawned& spawned, int& status) {
  const os::SystemClock clock;
  const Time deadline = clock.Now() + kAnswerTimeout;
  std::string written;
  while (true) {
    const int wanted[] = {spawned.output.get(), spawned.child.pidfd().get()};
    const std::vector<int> ready = os::WaitReadable(wanted, deadline - clock.Now());
    const std::optional<os::ExitStatus> ended = spawned.child.Reap();
    for (std::string more = os::ReadAvailable(spawned.output);
         !more.empty() && written.size() < kWrittenBytesMax;
         more = os::ReadAvailable(spawned.output)) {
      written += more;
    }
    if (ended) {
      status = ended->status;
      if (ended->signal != 0) return NoAnswer(ended->text(), written);
      return written;
    }
    const bool late = ready.empty() && clock.Now() >= deadline;
    if (!late && written.size() < kWrittenBytesMax) continue;
    spawned.child.Signal(SIGKILL);
    return NoAnswer(late ? "it did not end within 30 s" : "it wrote more than 4 MiB", written);
  }
}

}  // namespace

std::string FindPython(const PythonPlaces& places) {
  std::vector<std::string> candidates;
  if (!places.venv.empty()) candidates.push_back(places.venv + "/bin/python");
  candidates.push_back(places.folder + "/.venv/bin/python");
  candidates.push_back(places.folder + "/venv/bin/python");
  candidates.push_back(os::FindInPath("python3", places.path));
  for (const std::string& candidate : candidates) {
    if (os::IsExecutable(candidate)) return candidate;
  }
  return "python3";
}

Result<std::string> FindPythonSide(const std::string& program) {
  const std::string folder = PathFrom(TRY(os::RealPath(program)), "..");
  const std::string tried[] = {PathFrom(folder, "../python"),
                               PathFrom(folder, "../lib/onebox/python")};
  for (const std::string& candidate : tried) {
    if (os::RealPath(candidate).ok()) return candidate;
  }
  return OperatorError(
      fmt::format("the Python side of onebox is neither {} nor {}", tried[0], tried[1]));
}

Result<PythonAnswer> AskPython(const PythonQuestion& question) {
  const std::string mark = fmt::format("answer-{:016x} ", os::Random64());
  std::vector<std::string> words = {question.python, question.python_side};
  words.insert(words.end(), question.words.begin(), question.words.end());
  words.insert(words.end(), {"--mark", mark});
  os::Spawned spawned =
      TRY(os::Spawn({.words = std::move(words), .environment = question.environment}));
  int status = 0;
  const std::string written = TRY(ReadUntilItEnds(spawned, status));
  const std::size_t begin = written.find("\n" + mark);
  if (status == kToldWhy) return NoAnswer("", written);
  if (status != 0 || begin == std::string::npos) {
    return NoAnswer(fmt::format("it gave no answer (exit status {})", status), written);
  }
  const std::size_t from = begin + 1 + mark.size();
  const std::size_t end = written.find('\n', from);
  if (end == std::string::npos) return NoAnswer("its answer is cut off", written);
  return PythonAnswer{written.substr(from, end - from), written.substr(0, begin)};
}

}  // namespace onebox::main
