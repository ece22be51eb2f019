#include "main/tasks_command.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/json.h"
#include "base/nearest.h"
#include "broker/settings.h"
#include "main/broker_client.h"
#include "main/command_line.h"
#include "main/report.h"
#include "main/status_command.h"
#include "main/tasks_text.h"
#include "main/words.h"
#include "os/clock.h"

namespace onebox::main {
namespace {

using nlohmann::json;

constexpr std::string_view kUsage =
    R"help(onebox tasks [--state DIR] [--json]: the queues of a running box, its task workers, what runs, and the
newest dead letters.

  onebox tasks show ID              all of one task, with its result or traceback
  onebox tasks running              what runs
  onebox tasks dead [--queue QUEUE] the newest 100 dead letters, tasks without an attempt left;
                                    --all: all of them, the oldest first
  onebox tasks retry ID...          let dead letters wait again, as if they were new
  onebox tasks retry --all [--queue QUEUE]
                                    runs of jobs only with --queue onebox.jobs
  onebox tasks cancel ID...         end what waits, and interrupt what runs
  onebox tasks purge QUEUE --yes    cancel all that waits in a queue; without --yes: say how much that is
  onebox tasks purge QUEUE --dead   remove its dead letters
  onebox tasks pause QUEUE          begin no more of its tasks; it takes new ones
  onebox tasks resume QUEUE

  --state DIR                       of the box; else that of the current folder's app, or the only one
  --json                            as JSON

The exit status is 0, or 1 where some of what was asked for was not done.
)help";

constexpr std::uint32_t kDeadShown = 5;  // by the overview
constexpr std::uint32_t kPage = 100;     // a task has up to 4 KiB of its traceback in a list
constexpr std::size_t kIdsAtOnce = 1000;
constexpr std::int64_t kIdMax = std::int64_t{1} << 62;

struct Said {
  std::string text;
  bool all_done = true;
};

double NowInSeconds() {
  const auto since = os::SystemClock().WallNow().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

// --- what the broker is asked

Result<json> AskForQueues(BrokerClient& broker) {
  return broker.Ask({{"op", "queues"}});
}

Result<json> ListRunning(BrokerClient& broker) {
  json all = json::array();
  std::int64_t after = 0;
  for (;;) {
    const json answer =
        TRY(broker.Ask({{"op", "list"}, {"state", "running"}, {"after", after}, {"limit", kPage}}));
    const json& page = At(answer, "tasks");
    all.insert(all.end(), page.begin(), page.end());
    if (page.size() < kPage) return all;
    after = static_cast<std::int64_t>(Number(At(page.back(), "id")));
  }
}

Result<json> ListDead(BrokerClient& broker,
                      const std::string& queue,
                      std::int64_t after,
                      std::uint32_t limit) {
  json answer = TRY(broker.Ask(
      {{"op", "list"}, {"state", "dead"}, {"queue", queue}, {"after", after}, {"limit", limit}}));
  return std::move(answer["tasks"]);
}

// The `count` dead letters of a queue with the highest ids, at most kPage. A list begins behind an id,
// so the id from which on there are so many is found by halving.
Result<json> NewestDead(BrokerClient& broker, const std::string& queue, std::uint32_t count) {
  std::int64_t enough_after = 0;
  std::int64_t too_few_after = kIdMax;
  json found = TRY(ListDead(broker, queue, enough_after, count));
  if (found.size() < count) return found;
  while (too_few_after - enough_after > 1) {
    const std::int64_t middle = enough_after + (too_few_after - enough_after) / 2;
    json after = TRY(ListDead(broker, queue, middle, count));
    const bool enough = after.size() == count;
    (enough ? enough_after : too_few_after) = middle;
    if (enough) found = std::move(after);
  }
  return found;
}

// Their newest first, by when they have ended.
Result<json> NewestDeadOf(BrokerClient& broker,
                          const std::vector<std::string>& queues,
                          std::uint32_t count) {
  std::vector<json> found;
  for (const std::string& queue : queues) {
    const json dead = TRY(NewestDead(broker, queue, count));
    found.insert(found.end(), dead.begin(), dead.end());
  }
  const auto later = [](const json& one, const json& other) {
    return At(one, "ended") > At(other, "ended");
  };
  std::stable_sort(found.begin(), found.end(), later);
  found.resize(std::min<std::size_t>(found.size(), count));
  return json(std::move(found));
}

// `take` is given all dead letters of a queue page by page, the oldest first.
template <typename Take>
Status ForAllDead(BrokerClient& broker, const std::string& queue, const Take& take) {
  std::int64_t after = 0;
  for (;;) {
    const json page = TRY(ListDead(broker, queue, after, kPage));
    TRY(take(page));
    if (page.size() < kPage) return Done();
    after = static_cast<std::int64_t>(Number(At(page.back(), "id")));
  }
}

std::vector<std::string> NamesOf(const json& queues) {
  std::vector<std::string> names;
  for (const json& queue : At(queues, "queues"))
    names.push_back(Text(At(queue, "name")));
  return names;
}

// The figures of the queue that is named on the line.
Result<json> FindQueue(BrokerClient& broker, const std::string& name) {
  const json queues = TRY(AskForQueues(broker));
  for (const json& queue : At(queues, "queues")) {
    if (Text(At(queue, "name")) == name) return queue;
  }
  const std::vector<std::string> names = NamesOf(queues);
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view meant = NearestName(name, known);
  return OperatorError(meant.empty()
                           ? fmt::format("there is no queue {}; onebox tasks lists them", name)
                           : fmt::format("there is no queue {}; did you mean {}?", name, meant));
}

// The queue of --queue, else all.
Result<std::vector<std::string>> QueuesOf(BrokerClient& broker, const TasksLine& line) {
  if (line.queue.empty()) return NamesOf(TRY(AskForQueues(broker)));
  TRY(FindQueue(broker, line.queue));
  return std::vector{line.queue};
}

// --- what is shown

Result<Said> ShowAll(BrokerClient& broker, const TasksLine& line) {
  const json queues = TRY(AskForQueues(broker));
  const json running = TRY(ListRunning(broker));
  const json dead = TRY(NewestDeadOf(broker, NamesOf(queues), kDeadShown));
  const json& workers = At(queues, "workers");
  if (line.json) {
    return Said{Dump({{"queues", At(queues, "queues")},
                      {"workers", workers},
                      {"running", running},
                      {"dead", dead}})};
  }
  const double now = NowInSeconds();
  std::string text = DescribeQueues(At(queues, "queues")) + '\n' + DescribeWorkers(workers);
  if (!running.empty()) text += '\n' + DescribeRunning(running, now);
  if (!dead.empty()) text += '\n' + DescribeDead(dead, now);
  return Said{std::move(text)};
}

Result<Said> ShowRunning(BrokerClient& broker, const TasksLine& line) {
  const json running = TRY(ListRunning(broker));
  return Said{line.json ? Dump(running) : DescribeRunning(running, NowInSeconds())};
}

Result<Said> ShowDead(BrokerClient& broker, const TasksLine& line) {
  const std::vector<std::string> queues = TRY(QueuesOf(broker, line));
  json dead = json::array();
  if (line.all) {
    for (const std::string& queue : queues) {
      TRY(ForAllDead(broker, queue, [&dead](const json& page) {
        dead.insert(dead.end(), page.begin(), page.end());
        return Done();
      }));
    }
  } else {
    dead = TRY(NewestDeadOf(broker, queues, kPage));
  }
  return Said{line.json ? Dump(dead) : DescribeDead(dead, NowInSeconds())};
}

// --- one task

std::vector<std::string> IdWords(const TasksLine& line) {
  return {line.words.begin() + 1, line.words.end()};
}

// REQUIRES: words that IsId() has seen.
std::vector<std::uint64_t> IdsOf(const TasksLine& line) {
  std::vector<std::uint64_t> ids;
  for (const std::string& word : IdWords(line))
    ids.push_back(ParseDecimal(word, kIdMax).value_or(0));
  return ids;
}

Result<Said> ShowOne(BrokerClient& broker, const TasksLine& line) {
  const std::uint64_t id = IdsOf(line).front();
  const json answer = TRY(broker.Ask({{"op", "status"}, {"ids", json::array({id})}}));
  const json& tasks = At(answer, "tasks");
  const json task = tasks.is_array() && !tasks.empty() ? tasks.front() : json();
  if (task.is_null()) {
    return OperatorError(fmt::format(
        "there is no task {}; one that has ended is kept for a day, or for what its keep says",
        id));
  }
  return Said{line.json ? Dump(task) : DescribeTask(task, NowInSeconds())};
}

// --- what is done with several

struct Wording {
  std::string_view outcome, said;
  bool done;
};
constexpr std::array kOfRetry = {
    Wording{"done", "waits again", true},
    Wording{"ended", "is no dead letter", false},
    Wording{"key_taken", "stays dead: another task has its unique or dedupe key by now", false},
    Wording{"unknown", "is not there", false}};
constexpr std::array kOfCancel = {Wording{"done", "cancelled", true},
                                  Wording{"running", "runs, and is being interrupted", true},
                                  Wording{"ended", "had ended before", false},
                                  Wording{"unknown", "is not there", false}};

struct Outcomes {
  std::vector<std::pair<std::uint64_t, std::string>> of;  // by id

  std::size_t Count(std::string_view outcome) const {
    return static_cast<std::size_t>(std::count_if(
        of.begin(), of.end(), [&](const auto& one) { return one.second == outcome; }));
  }
};

Status AskForEach(BrokerClient& broker,
                  std::string_view operation,
                  std::span<const std::uint64_t> ids,
                  Outcomes& outcomes) {
  while (!ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), kIdsAtOnce));
    ids = ids.subspan(some.size());
    const json answer =
        TRY(broker.Ask({{"op", operation}, {"ids", std::vector(some.begin(), some.end())}}));
    const json& its = At(answer, "outcomes");
    if (!its.is_array() || its.size() != some.size()) {
      return OperatorError("the broker answers something else");
    }
    for (std::size_t i = 0; i < some.size(); ++i)
      outcomes.of.emplace_back(some[i], Text(its[i]));
  }
  return Done();
}

Said SayEach(const Outcomes& outcomes, std::span<const Wording> wordings, bool as_json) {
  Said said;
  json list = json::array();
  for (const auto& [id, outcome] : outcomes.of) {
    const auto found =
        std::find_if(wordings.begin(), wordings.end(), [&its = outcome](const Wording& one) {
          return one.outcome == its;
        });
    const bool known = found != wordings.end();
    if (!known || !found->done) said.all_done = false;
    said.text += fmt::format("{}: {}\n", id, known ? found->said : std::string_view(outcome));
    list.push_back({{"id", id}, {"outcome", outcome}});
  }
  if (as_json) said.text = Dump(list);
  return said;
}

Result<Said> RetryAll(BrokerClient& broker, const TasksLine& line) {
  Outcomes outcomes;
  for (const std::string& queue : TRY(QueuesOf(broker, line))) {
    // A job has its next time; a run that failed days ago is wanted by who names it.
    if (queue == broker::kJobsQueue && line.queue.empty()) continue;
    TRY(ForAllDead(broker, queue, [&](const json& page) -> Status {
      std::vector<std::uint64_t> ids;
      for (const json& task : page)
        ids.push_back(Number(At(task, "id")));
      return AskForEach(broker, "retry", ids, outcomes);
    }));
  }
  if (line.json) return SayEach(outcomes, kOfRetry, true);
  const std::size_t done = outcomes.Count("done");
  const std::size_t taken = outcomes.Count("key_taken");
  Said said{fmt::format("{} now\n",
                        done == 1 ? "1 dead letter waits again"
                                  : fmt::format("{} dead letters wait again", done)),
            taken == 0};
  if (taken > 0) {
    said.text += fmt::format("{} stay dead: other tasks have their unique or dedupe keys\n", taken);
  }
  return said;
}

Result<Said> RetryDead(BrokerClient& broker, const TasksLine& line) {
  if (line.all) return RetryAll(broker, line);
  Outcomes outcomes;
  TRY(AskForEach(broker, "retry", IdsOf(line), outcomes));
  return SayEach(outcomes, kOfRetry, line.json);
}

Result<Said> CancelTasks(BrokerClient& broker, const TasksLine& line) {
  Outcomes outcomes;
  TRY(AskForEach(broker, "cancel", IdsOf(line), outcomes));
  return SayEach(outcomes, kOfCancel, line.json);
}

// --- what is done with a queue

// What waits is work that somebody was promised; dead letters are what is left of work.
Result<Said> PurgeQueue(BrokerClient& broker, const TasksLine& line) {
  const std::string& name = line.words[1];
  const json queue = TRY(FindQueue(broker, name));
  const std::uint64_t there = Number(At(queue, line.dead ? "dead" : "waiting"));
  if (!line.dead && !line.yes) {
    return OperatorError(
        fmt::format("{} in {}; with --yes {} cancelled",
                    there == 1 ? "1 task waits" : fmt::format("{} tasks wait", there),
                    name,
                    there == 1 ? "it is" : "they are"));
  }
  std::uint64_t purged = 0;
  for (bool more = true; more && purged < there;) {  // not what comes meanwhile, and for ever
    const json answer = TRY(broker.Ask({{"op", "purge"}, {"queue", name}, {"dead", line.dead}}));
    purged += Number(At(answer, "purged"));
    more = IsTrue(At(answer, "more"));
  }
  if (line.json) return Said{Dump({{"purged", purged}})};
  return Said{line.dead ? fmt::format("{} of {} removed\n", Plural(purged, "dead letter"), name)
                        : fmt::format("{} of {} cancelled\n", Plural(purged, "task"), name)};
}

Result<Said> SetPaused(BrokerClient& broker, const TasksLine& line, bool paused) {
  const std::string& name = line.words[1];
  TRY(FindQueue(broker, name));  // a pause would make it
  TRY(broker.Ask({{"op", "pause"}, {"queue", name}, {"paused", paused}}));
  if (line.json) return Said{Dump({{"queue", name}, {"paused", paused}})};
  return Said{paused
                  ? fmt::format("{} is paused: what runs goes on, and nothing more begins\n", name)
                  : fmt::format("{} goes on\n", name)};
}

Result<Said> PauseQueue(BrokerClient& broker, const TasksLine& line) {
  return SetPaused(broker, line, true);
}

Result<Said> ResumeQueue(BrokerClient& broker, const TasksLine& line) {
  return SetPaused(broker, line, false);
}

// --- the line

enum Flags : unsigned { kNoFlags = 0, kQueueFlag = 1, kAllFlag = 2, kDeadFlag = 4, kYesFlag = 8 };
enum class Takes : unsigned char { kNothing, kId, kIds, kIdsOrAll, kQueue };

struct Verb {
  std::string_view name;
  Takes takes;
  unsigned flags;
  Result<Said> (*run)(BrokerClient& broker, const TasksLine& line);
};
constexpr std::array kVerbs = {Verb{"", Takes::kNothing, kNoFlags, ShowAll},
                               Verb{"show", Takes::kId, kNoFlags, ShowOne},
                               Verb{"running", Takes::kNothing, kNoFlags, ShowRunning},
                               Verb{"dead", Takes::kNothing, kQueueFlag | kAllFlag, ShowDead},
                               Verb{"retry", Takes::kIdsOrAll, kQueueFlag | kAllFlag, RetryDead},
                               Verb{"cancel", Takes::kIds, kNoFlags, CancelTasks},
                               Verb{"purge", Takes::kQueue, kDeadFlag | kYesFlag, PurgeQueue},
                               Verb{"pause", Takes::kQueue, kNoFlags, PauseQueue},
                               Verb{"resume", Takes::kQueue, kNoFlags, ResumeQueue}};

const Verb* FindVerb(const std::vector<std::string>& words) {
  const std::string name = words.empty() ? "" : words.front();
  const auto found = std::find_if(
      kVerbs.begin(), kVerbs.end(), [&name](const Verb& verb) { return verb.name == name; });
  return found == kVerbs.end() || (!words.empty() && name.empty()) ? nullptr : &*found;
}

void CheckWords(const Verb& verb, TasksLine& line) {
  const std::size_t behind = line.words.empty() ? 0 : line.words.size() - 1;
  const auto expect = [&](bool right, std::string_view what) {
    if (!right) line.mistakes.push_back(fmt::format("{}: expected {} behind it", verb.name, what));
  };
  switch (verb.takes) {
    case Takes::kNothing:
      return expect(behind == 0, "nothing");
    case Takes::kQueue:
      return expect(behind == 1, "one queue");
    case Takes::kId:
      expect(behind == 1, "the id of one task");
      break;
    case Takes::kIds:
      expect(behind >= 1, "ids of tasks");
      break;
    case Takes::kIdsOrAll:
      if (line.all) return expect(behind == 0, "ids of tasks or --all");
      expect(behind >= 1, "ids of tasks or --all");
      break;
  }
  for (std::size_t i = 1; i < line.words.size(); ++i) {
    if (ParseDecimal(line.words[i], kIdMax).value_or(0) > 0) continue;
    line.mistakes.push_back(
        fmt::format("{}: expected the id of a task, got {}", verb.name, Quoted(line.words[i])));
  }
}

void CheckFlags(const Verb& verb, TasksLine& line) {
  struct Flag {
    std::string_view name;
    unsigned flag;
    bool given;
  };
  for (const Flag& one : {Flag{"--queue", kQueueFlag, !line.queue.empty()},
                          Flag{"--all", kAllFlag, line.all},
                          Flag{"--dead", kDeadFlag, line.dead},
                          Flag{"--yes", kYesFlag, line.yes}}) {
    if (!one.given || (verb.flags & one.flag) != 0) continue;
    line.mistakes.push_back(fmt::format(
        "{}: not with onebox tasks{}{}", one.name, verb.name.empty() ? "" : " ", verb.name));
  }
  if (verb.takes == Takes::kIdsOrAll && !line.queue.empty() && !line.all) {
    line.mistakes.emplace_back("--queue: it goes with --all");
  }
}

void Check(const Verb* verb, TasksLine& line) {
  if (line.help || !line.mistakes.empty()) return;
  if (verb == nullptr) {
    line.mistakes.push_back(
        fmt::format("expected show, running, dead, retry, cancel, purge, pause or resume, got {}",
                    fmt::join(line.words, " ")));
    return;
  }
  CheckWords(*verb, line);
  CheckFlags(*verb, line);
}

}  // namespace

int ShowTasks(std::span<const std::string> words, const Caller& caller) {
  TasksLine line = ReadTasksLine(words, caller.folder);
  const Verb* verb = FindVerb(line.words);
  Check(verb, line);
  bool all_done = true;
  const auto ask = [&](const std::string& state) -> Result<std::string> {
    BrokerClient broker = TRY(BrokerClient::Open(state, "tasks"));
    Said said = TRY(verb->run(broker, line));
    all_done = said.all_done;
    return std::move(said.text);
  };
  const int status = AnswerLine(line, kUsage, caller, ask);
  return status == 0 && !all_done ? 1 : status;
}

}  // namespace onebox::main
