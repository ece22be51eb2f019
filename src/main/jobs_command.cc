#include "main/jobs_command.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/nearest.h"
#include "main/broker_client.h"
#include "main/command_line.h"
#include "main/jobs_text.h"
#include "main/report.h"
#include "main/status_command.h"
#include "os/clock.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kUsage =
    R"help(onebox jobs [--state DIR] [--json]: the jobs of a running box, when each is due, and how it went last.

  onebox jobs next                  those that are due next, in their order
  onebox jobs history [JOB] [-n N]  the last N runs [20], the newest first, and what was skipped or missed
  onebox jobs run JOB               have it run now, also where it is paused
  onebox jobs pause JOB             it is not run at its times
  onebox jobs resume JOB            what it has missed follows its catch_up

  --state DIR                       of the box; else that of the current folder's app, or the only one
  --json                            as JSON
)help";

constexpr std::uint32_t kRunsShown = 20;  // unless told

double NowInSeconds() {
  const auto since = os::SystemClock().WallNow().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

Result<json> AskForJobs(BrokerClient& broker) {
  json answer = TRY(broker.Ask({{"op", "jobs"}}));
  return std::move(answer["jobs"]);
}

Status CheckJob(BrokerClient& broker, const std::string& name) {
  const json jobs = TRY(AskForJobs(broker));
  std::vector<std::string> names;
  for (const json& job : jobs)
    names.push_back(Text(At(job, "name")));
  if (std::find(names.begin(), names.end(), name) != names.end()) return Done();
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view meant = NearestName(name, known);
  return OperatorError(meant.empty()
                           ? fmt::format("there is no job {}; onebox jobs lists them", name)
                           : fmt::format("there is no job {}; did you mean {}?", name, meant));
}

Result<std::string> ShowAll(BrokerClient& broker, const JobsLine& line) {
  const json jobs = TRY(AskForJobs(broker));
  return line.json ? Dump(jobs) : DescribeJobs(jobs, NowInSeconds());
}

Result<std::string> ShowNext(BrokerClient& broker, const JobsLine& line) {
  const json next = NextJobs(TRY(AskForJobs(broker)));
  return line.json ? Dump(next) : DescribeNext(next, NowInSeconds());
}

Result<std::string> ShowHistory(BrokerClient& broker, const JobsLine& line) {
  const std::string job = line.words.size() > 1 ? line.words[1] : "";
  const json answer = TRY(broker.Ask(
      {{"op", "job_history"}, {"job", job}, {"limit", line.lines.value_or(kRunsShown)}}));
  const json& runs = At(answer, "runs");
  // Of one that was removed there may be runs yet.
  if (!job.empty() && runs.empty()) TRY(CheckJob(broker, job));
  return line.json ? Dump(runs) : DescribeRuns(runs);
}

Result<std::string> RunJob(BrokerClient& broker, const JobsLine& line) {
  const std::string& job = line.words[1];
  TRY(CheckJob(broker, job));
  const json answer = TRY(broker.Ask({{"op", "job_run"}, {"job", job}}));
  const std::uint64_t id = Number(At(answer, "id"));
  if (line.json) return Dump({{"id", id}});
  return fmt::format("{0} runs as task {1}; onebox tasks show {1} says how it goes\n", job, id);
}

Result<std::string> PauseJob(BrokerClient& broker, const JobsLine& line) {
  const std::string& job = line.words[1];
  TRY(CheckJob(broker, job));
  TRY(broker.Ask({{"op", "job_pause"}, {"job", job}}));
  if (line.json) return Dump({{"job", job}, {"paused", true}});
  return fmt::format("{} is paused\n", job);
}

Result<std::string> ResumeJob(BrokerClient& broker, const JobsLine& line) {
  const std::string& job = line.words[1];
  TRY(CheckJob(broker, job));
  TRY(broker.Ask({{"op", "job_resume"}, {"job", job}}));
  if (line.json) return Dump({{"job", job}, {"paused", false}});
  return fmt::format("{} goes on\n", job);
}

struct Verb {
  std::string_view name;
  std::size_t words_min, words_max;  // with its own
  Result<std::string> (*run)(BrokerClient& broker, const JobsLine& line);
};
constexpr std::array kVerbs = {Verb{"", 0, 0, ShowAll},
                               Verb{"next", 1, 1, ShowNext},
                               Verb{"history", 1, 2, ShowHistory},
                               Verb{"run", 2, 2, RunJob},
                               Verb{"pause", 2, 2, PauseJob},
                               Verb{"resume", 2, 2, ResumeJob}};

const Verb* FindVerb(const std::vector<std::string>& words) {
  for (const Verb& verb : kVerbs) {
    const bool fits = words.size() >= verb.words_min && words.size() <= verb.words_max;
    if (fits && (words.empty() || words.front() == verb.name)) return &verb;
  }
  return nullptr;
}

}  // namespace

int ShowJobs(std::span<const std::string> words, const Caller& caller) {
  JobsLine line = ReadJobsLine(words, caller.folder);
  const Verb* verb = FindVerb(line.words);
  if (verb == nullptr && line.mistakes.empty()) {
    line.mistakes.push_back(
        fmt::format("expected next, history [JOB], run JOB, pause JOB or resume JOB, got {}",
                    fmt::join(line.words, " ")));
  }
  if (verb != nullptr && line.lines && verb->run != ShowHistory) {
    line.mistakes.emplace_back("-n: it goes with onebox jobs history");
  }
  return AnswerLine(line, kUsage, caller, [&](const std::string& state) -> Result<std::string> {
    BrokerClient broker = TRY(BrokerClient::Open(state, "jobs"));
    return verb->run(broker, line);
  });
}

}  // namespace onebox::main
