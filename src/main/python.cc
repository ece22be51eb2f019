#include "main/python.h"

#include <utility>

#include <fmt/format.h>

#include "main/settings.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/folder.h"
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

// What it has written where it ended by itself.
Result<std::string> WrittenToTheEnd(const os::Said& said) {
  switch (said.end) {
    case os::Said::End::kByItself:
      break;
    case os::Said::End::kLate:
      return NoAnswer("it did not end within 30 s", said.text);
    case os::Said::End::kTooLong:
      return NoAnswer("it wrote more than 4 MiB", said.text);
  }
  if (said.status.signal != 0) return NoAnswer(said.status.text(), said.text);
  return said.text;
}

// The answer stands in the line behind `mark`.
Result<PythonAnswer> FindAnswer(const std::string& mark, const os::Said& said) {
  const std::string written = TRY(WrittenToTheEnd(said));
  const std::size_t begin = written.find("\n" + mark);
  if (said.status.status == kToldWhy) return NoAnswer("", written);
  if (said.status.status != 0 || begin == std::string::npos) {
    return NoAnswer(fmt::format("it gave no answer (exit status {})", said.status.status), written);
  }
  const std::size_t from = begin + 1 + mark.size();
  const std::size_t end = written.find('\n', from);
  if (end == std::string::npos) return NoAnswer("its answer is cut off", written);
  return PythonAnswer{written.substr(from, end - from), written.substr(0, begin)};
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

std::optional<std::string> WrongPython(const std::string& python,
                                       const os::Variables& environment) {
  constexpr std::string_view kUsualPath = "/bin:/usr/bin";  // execvp's, where there is no PATH
  if (python.find('/') == python.npos) {
    const auto path = environment.find("PATH");
    const bool said = path != environment.end() && !path->second.empty();
    if (!os::FindInPath(python, said ? path->second : std::string(kUsualPath)).empty()) return {};
    return fmt::format("there is no {} in PATH", python);
  }
  if (os::IsExecutable(python)) return {};
  const bool there = os::FactsAt(python).has_value();
  return fmt::format("{} {}", python, there ? "is no file that may be executed" : "is not there");
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

os::Asked<Result<PythonAnswer>> AskPython(const PythonQuestion& question) {
  const std::string mark = fmt::format("answer-{:016x} ", os::Random64());
  std::vector<std::string> words = {question.python, question.python_side};
  words.insert(words.end(), question.words.begin(), question.words.end());
  words.insert(words.end(), {"--mark", mark});
  auto begun = os::Inquiry::Begin(
      {.words = std::move(words), .environment = question.environment},
      {.deadline = os::SystemClock().Now() + kAnswerTimeout, .text_bytes_max = kWrittenBytesMax});
  if (!begun.ok()) {
    return os::Asked<Result<PythonAnswer>>(std::move(begun).error());
  }
  return {std::move(begun).value(),
          [mark](const os::Said& said) { return FindAnswer(mark, said); }};
}

}  // namespace onebox::main
