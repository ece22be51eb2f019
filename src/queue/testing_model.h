#pragma once
// A plain model of the store, in memory: what the store has to do, said the short way, for its tests.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "queue/store.h"
#include "queue/task_row.h"

namespace onebox::queue {

// A NewTask that owns its bytes.
struct OwnTask {
  std::string queue;
  std::string payload;
  int priority = 0;
  WallTime eta{};
  std::optional<WallTime> expires{};
  std::uint32_t retries = 0;
  Duration result_keep{};
  std::string unique_key;
  std::string dedupe_key;

  NewTask View() const {
    return {.queue = queue,
            .name = "app.task",
            .payload = payload,
            .priority = priority,
            .eta = eta,
            .expires = expires,
            .retries = retries,
            .result_keep = result_keep,
            .unique_key = unique_key,
            .dedupe_key = dedupe_key};
  }
};

// Each operation gives its result as a text, as StoreSide does of the store itself.
class Model final {
 public:
  explicit Model(const Limits& limits) : limits_(limits) {}

  // --- operations

  std::string Enqueue(const std::vector<OwnTask>& tasks, WallTime now) {
    std::string text;
    for (const OwnTask& task : tasks) {
      text += EnqueueOne(task, kNoTask, true, now) + ' ';
    }
    return text;
  }

  std::string EnqueueGroup(const std::vector<OwnTask>& members,
                           const OwnTask& callback,
                           WallTime now) {
    std::map<std::string, std::size_t> wanted{{callback.queue, 1}};
    for (const OwnTask& member : members) {
      ++wanted[member.queue];
    }
    for (const auto& [queue, count] : wanted) {
      if (Live(queue) + count > limits_.tasks_max) return "refused";
    }
    const TaskId id = Insert(callback, kNoTask, now);
    tasks_[id].state = State::kHeld;
    tasks_[id].members_left = members.size();
    std::string text = "group " + std::to_string(id);
    for (const OwnTask& member : members) {
      text += ' ' + std::to_string(Insert(member, id, now));
    }
    return text;
  }

  std::string Lease(const std::string& queue, const Store::LeaseTerms& terms, WallTime now) {
    leased_.clear();
    if (paused_.count(queue) == 0 || paused_[queue]) return "";
    std::vector<TaskId> due;
    for (const auto& [id, task] : tasks_) {
      if (task.of.queue == queue && task.state == State::kWaiting && task.eta <= now) {
        due.push_back(id);
      }
    }
    std::stable_sort(due.begin(), due.end(), [&](TaskId a, TaskId b) {
      const Task& one = tasks_[a];
      const Task& other = tasks_[b];
      if (one.of.priority != other.of.priority) return one.of.priority > other.of.priority;
      return one.eta < other.eta;
    });
    std::string text;
    for (const TaskId id : due) {
      if (leased_.size() == terms.limit) break;
      Task& task = tasks_[id];
      if (task.of.expires && *task.of.expires <= now) {
        End(id, State::kExpired, now);
        continue;
      }
      task.state = State::kRunning;
      ++task.token;
      ++task.attempts;
      task.lease_end = terms.until;
      task.progress.reset();
      leased_.push_back({id, task.token});
      text += std::to_string(id) + '/' + std::to_string(task.token) + '/' +
              std::to_string(task.attempts) + '/' + task.of.payload + ' ';
    }
    return text;
  }
  // By the last Lease().
  const std::vector<Held>& leased() const { return leased_; }

  std::string Acknowledge(const Held& held,
                          const std::string& result,
                          const std::vector<OwnTask>& next,
                          WallTime now) {
    if (!Holds(held)) return Text(Outcome::kNotHeld);
    Task& task = tasks_[held.id];
    task.outcome = task.of.result_keep > Duration(0) ? result : "";
    std::string text = Text(Outcome::kDone);
    const TaskId group = task.group;
    for (const OwnTask& one : next) {
      const std::string made = EnqueueOne(one, group, false, now);
      text += ' ' + made;
      const bool counts = group != kNoTask && made.rfind("new", 0) == 0;
      if (counts && StateIs(group, State::kHeld)) ++tasks_[group].members_left;
    }
    End(held.id, State::kDone, now);
    return text;
  }

  std::string Fail(const Held& held, std::optional<WallTime> retry_at, WallTime now) {
    if (!Holds(held)) return Text(Outcome::kNotHeld);
    Task& task = tasks_[held.id];
    task.outcome = "traceback";
    if (task.cancel) {
      End(held.id, State::kCancelled, now);
    } else if (retry_at) {
      task.state = State::kWaiting;
      task.eta = std::max(*retry_at, now);
    } else {
      End(held.id, State::kDead, now);
    }
    return Text(Outcome::kDone);
  }

  std::string Release(const Held& held, WallTime now) {
    if (!Holds(held)) return Text(Outcome::kNotHeld);
    Task& task = tasks_[held.id];
    if (task.cancel) {
      End(held.id, State::kCancelled, now);
    } else {
      task.state = State::kWaiting;
      --task.attempts;
    }
    return Text(Outcome::kDone);
  }

  std::string ReturnOfDead(const Held& held, WallTime now) {
    if (!Holds(held)) return Text(Outcome::kNotHeld);
    ++tasks_[held.id].deaths;
    Return(held.id, tasks_[held.id].deaths >= limits_.deaths_max, now);
    return Text(Outcome::kDone);
  }

  std::string ReturnPassed(WallTime now) {
    std::uint32_t returned = 0;
    for (const TaskId id : Ids([&](const Task& task) {
           return task.state == State::kRunning && task.lease_end <= now;
         })) {
      Return(id, false, now);
      ++returned;
    }
    return std::to_string(returned);
  }

  std::string Renew(const Held& held, WallTime until, std::optional<double> progress) {
    if (!Holds(held)) return Text(Outcome::kNotHeld);
    Task& task = tasks_[held.id];
    task.lease_end = until;
    if (progress) task.progress = progress;
    return Text(task.cancel ? Outcome::kCancelAsked : Outcome::kDone);
  }

  std::string Cancel(TaskId id, WallTime now) {
    if (tasks_.count(id) == 0) return Text(Outcome::kUnknown);
    Task& task = tasks_[id];
    if (task.state == State::kRunning) {
      task.cancel = true;
      return Text(Outcome::kRunning);
    }
    if (task.state >= kFirstEnded && task.state != State::kDead) return Text(Outcome::kEnded);
    End(id, State::kCancelled, now);
    return Text(Outcome::kDone);
  }

  std::string RetryDead(TaskId id, WallTime now) {
    if (tasks_.count(id) == 0) return Text(Outcome::kUnknown);
    Task& task = tasks_[id];
    if (task.state != State::kDead) return Text(Outcome::kEnded);
    if (FindByKeys(task.of, now)) return Text(Outcome::kKeyTaken);
    PutKeys(task.of, id);
    task.state = State::kWaiting;
    task.eta = now;
    task.attempts = task.deaths = 0;
    task.cancel = false;
    return Text(Outcome::kDone);
  }

  std::string Purge(const std::string& queue, State state, WallTime now) {
    const auto purged =
        Ids([&](const Task& task) { return task.of.queue == queue && task.state == state; });
    for (const TaskId id : purged) {
      End(id, State::kCancelled, now);
    }
    return std::to_string(purged.size());
  }

  std::string SetPaused(const std::string& queue, QueueFigures::Paused paused) {
    paused_[queue] = paused == QueueFigures::Paused::kYes;
    return "";
  }

  std::string Sweep(WallTime now) {
    std::size_t swept = 0;
    auto expired = Ids([&](const Task& task) {
      return task.state == State::kWaiting && task.of.expires && *task.of.expires <= now;
    });
    std::stable_sort(expired.begin(), expired.end(), [&](TaskId a, TaskId b) {
      return *tasks_[a].of.expires < *tasks_[b].of.expires;
    });
    for (const TaskId id : expired) {
      End(id, State::kExpired, now);
      ++swept;
    }
    // In this order: a dead member that goes first takes away what keeps the results of the others.
    auto ended =
        Ids([&](const Task& task) { return task.state >= kFirstEnded && task.keep_until <= now; });
    std::stable_sort(ended.begin(), ended.end(), [&](TaskId a, TaskId b) {
      return tasks_[a].keep_until < tasks_[b].keep_until;
    });
    for (const TaskId id : ended) {
      SweepTask(id, now);
      ++swept;
    }
    swept += std::erase_if(keys_, [&](const auto& entry) {
      return entry.second.keep_until && *entry.second.keep_until <= now;
    });
    return std::to_string(swept);
  }

  // --- all there is to see, as DumpOf() a store

  std::string Dump(WallTime now) const {
    std::string text;
    for (const auto& [id, task] : tasks_) {
      text += Line(id, task);
    }
    for (const auto& [queue, paused] : paused_) {
      std::map<State, std::size_t> counts;
      std::size_t due = 0;
      std::size_t bytes = 0;
      for (const auto& [id, task] : tasks_) {
        if (task.of.queue != queue) continue;
        ++counts[task.state];
        if (task.state == State::kWaiting && task.eta <= now) ++due;
        if (task.state < kFirstEnded) bytes += task.of.payload.size();
      }
      text += QueueLine(queue,
                        paused,
                        {counts[State::kHeld],
                         counts[State::kWaiting],
                         due,
                         counts[State::kRunning],
                         counts[State::kDead],
                         bytes});
    }
    std::optional<WallTime> next_due;
    std::optional<WallTime> next_end;
    for (const auto& [id, task] : tasks_) {
      if (task.state == State::kWaiting && !paused_.at(task.of.queue)) {
        next_due = std::min(next_due.value_or(task.eta), task.eta);
      }
      if (task.state == State::kRunning) {
        next_end = std::min(next_end.value_or(task.lease_end), task.lease_end);
      }
    }
    return text + Moments(next_due, next_end);
  }

  // Every id that was given, in their order.
  const std::vector<TaskId>& given() const { return given_; }
  // The store was opened anew: of the ids that it had reserved none is used.
  void Reopened() { next_ = reserved_; }

  // --- how results are written

  static std::string Text(Outcome outcome) { return std::to_string(static_cast<int>(outcome)); }
  static std::string Text(std::optional<WallTime> time) {
    return time ? std::to_string(time->time_since_epoch().count()) : "-";
  }
  static std::string Text(const Enqueued& enqueued) {
    static constexpr const char* kWords[] = {"new", "unique", "deduped"};
    return std::string(kWords[static_cast<int>(enqueued.as)]) + std::to_string(enqueued.id);
  }
  static std::string QueueLine(const std::string& queue,
                               bool paused,
                               const std::vector<std::size_t>& counts) {
    std::string text = "queue " + queue + (paused ? " paused" : "");
    for (const std::size_t count : counts) {
      text += ' ' + std::to_string(count);
    }
    return text + '\n';
  }
  static std::string Moments(std::optional<WallTime> due, std::optional<WallTime> lease_end) {
    return "due " + Text(due) + " lease end " + Text(lease_end) + '\n';
  }

 private:
  struct Task {
    OwnTask of;
    State state = State::kWaiting;
    WallTime eta{};
    Token token = 0;
    std::uint32_t attempts = 0;
    std::uint32_t deaths = 0;
    bool cancel = false;
    WallTime lease_end{};
    WallTime keep_until{};
    std::optional<double> progress{};
    std::size_t members_left = 0;
    TaskId group = kNoTask;
    std::string outcome{};
  };
  struct Key {
    TaskId task = kNoTask;
    std::optional<WallTime> keep_until{};
  };
  using KeyName = std::pair<KeyKind, std::string>;

  template <typename Wanted>
  std::vector<TaskId> Ids(const Wanted& wanted) const {
    std::vector<TaskId> ids;
    for (const auto& [id, task] : tasks_) {
      if (wanted(task)) ids.push_back(id);
    }
    return ids;
  }

  static std::string Line(TaskId id, const Task& task) {
    const bool runs = task.state == State::kRunning;
    return "task " + std::to_string(id) + " state " + std::to_string(static_cast<int>(task.state)) +
           " eta " + Text(std::optional(task.eta)) + " attempts " + std::to_string(task.attempts) +
           " deaths " + std::to_string(task.deaths) + " token " + std::to_string(task.token) +
           " until " + Text(runs ? std::optional(task.lease_end) : std::nullopt) + " left " +
           std::to_string(task.members_left) + " group " + std::to_string(task.group) +
           " progress " + std::to_string(task.progress.value_or(-1)) +
           (task.cancel ? " cancel " : " ") + task.outcome + '\n';
  }

  bool StateIs(TaskId id, State state) const {
    const auto found = tasks_.find(id);
    return found != tasks_.end() && found->second.state == state;
  }
  bool Holds(const Held& held) const {
    return StateIs(held.id, State::kRunning) && tasks_.at(held.id).token == held.token;
  }
  std::size_t Live(const std::string& queue) const {
    return Ids([&](const Task& task) { return task.of.queue == queue && task.state < kFirstEnded; })
        .size();
  }

  std::optional<Enqueued> FindByKeys(const OwnTask& task, WallTime now) const {
    const auto holder = [&](KeyKind kind, const std::string& key) {
      const auto found = keys_.find({kind, key});
      const bool holds = !key.empty() && found != keys_.end() &&
                         (!found->second.keep_until || *found->second.keep_until > now);
      return holds ? found->second.task : kNoTask;
    };
    const TaskId deduped = holder(KeyKind::kDedupe, task.dedupe_key);
    if (deduped != kNoTask) return Enqueued{deduped, Enqueued::As::kDeduped};
    const TaskId unique = holder(KeyKind::kUnique, task.unique_key);
    if (unique != kNoTask) return Enqueued{unique, Enqueued::As::kUnique};
    return std::nullopt;
  }
  void PutKeys(const OwnTask& task, TaskId id) {
    if (!task.unique_key.empty()) keys_[{KeyKind::kUnique, task.unique_key}] = {id};
    if (!task.dedupe_key.empty()) keys_[{KeyKind::kDedupe, task.dedupe_key}] = {id};
  }

  std::string EnqueueOne(const OwnTask& task, TaskId group, bool limited, WallTime now) {
    if (const auto there = FindByKeys(task, now)) return Text(*there);
    if (limited && Live(task.queue) >= limits_.tasks_max) return "refused";
    return Text(Enqueued{Insert(task, group, now), Enqueued::As::kNew});
  }
  TaskId Insert(const OwnTask& task, TaskId group, WallTime now) {
    if (next_ == reserved_) reserved_ += Store::kIdBlock;
    const TaskId id = next_++;
    given_.push_back(id);
    tasks_[id] = {.of = task, .eta = std::max(task.eta, now), .group = group};
    paused_.emplace(task.queue, false);
    PutKeys(task, id);
    return id;
  }

  void Return(TaskId id, bool poison, WallTime now) {
    Task& task = tasks_[id];
    if (task.cancel) return End(id, State::kCancelled, now);
    if (poison) {
      task.outcome = "poison";
      return End(id, State::kDead, now);
    }
    if (task.attempts >= task.of.retries + 1 + limits_.deaths_max) {
      task.outcome = "nobody";
      return End(id, State::kDead, now);
    }
    task.state = State::kWaiting;
  }

  void End(TaskId id, State state, WallTime now) {
    Task& task = tasks_[id];
    if (task.state != State::kDead) {
      keys_.erase({KeyKind::kUnique, task.of.unique_key});
      const KeyName dedupe{KeyKind::kDedupe, task.of.dedupe_key};
      if (state != State::kDone) {
        keys_.erase(dedupe);
      } else if (!task.of.dedupe_key.empty()) {
        keys_[dedupe].keep_until = now + limits_.dedupe_keep;
      }
    }
    task.state = state;
    task.keep_until = now + (state == State::kDead ? limits_.dead_keep : task.of.result_keep);
    const TaskId group = task.group;
    if (state != State::kDead && task.of.result_keep == Duration(0)) tasks_.erase(id);
    if (group == kNoTask || state == State::kDead || !StateIs(group, State::kHeld)) return;
    Task& callback = tasks_[group];
    if (state != State::kDone) return End(group, State::kCancelled, now);
    if (--callback.members_left > 0) return;
    callback.state = State::kWaiting;
    callback.eta = std::max(callback.eta, now);
  }

  void SweepTask(TaskId id, WallTime now) {
    Task& task = tasks_[id];
    const bool wanted = tasks_.count(task.group) > 0 && tasks_[task.group].state < kFirstEnded;
    if (task.state == State::kDone && wanted) {
      task.keep_until = now + std::max<Duration>(task.of.result_keep, std::chrono::minutes(10));
      return;
    }
    const TaskId group = task.group;
    const bool lost = task.state == State::kDead && StateIs(group, State::kHeld);
    tasks_.erase(id);
    if (lost) End(group, State::kCancelled, now);
  }

  Limits limits_;
  std::map<TaskId, Task> tasks_;
  std::map<KeyName, Key> keys_;
  std::map<std::string, bool> paused_;  // each queue that is there
  std::vector<Held> leased_;
  TaskId next_ = 1;
  TaskId reserved_ = 1;
  std::vector<TaskId> given_;
};

}  // namespace onebox::queue
