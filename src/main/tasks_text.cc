#include "main/tasks_text.h"

#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "base/json.h"
#include "main/report.h"

namespace onebox::main {
namespace {

using nlohmann::json;

std::string ProgressOf(const json& task) {
  const json& progress = At(task, "progress");
  return progress.is_number() ? fmt::format("{:.0f} %", 100 * progress.get<double>()) : "-";
}

std::string MomentOf(const json& time, double now) {
  std::string shown = ShowTime(time);
  if (!time.is_number()) return shown;
  return time.get<double>() > now
             ? fmt::format("{}, in {}", shown, ShowSpan(time.get<double>() - now))
             : fmt::format("{}, {} ago", shown, ShowSpan(time, now));
}

}  // namespace

std::string Plural(std::uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string DescribeQueues(const json& queues) {
  Table table{{"queue"},
              {"waiting", Align::kRight},
              {"due", Align::kRight},
              {"oldest", Align::kRight},
              {"running", Align::kRight},
              {"dead", Align::kRight},
              {"done/min", Align::kRight},
              {"rate", Align::kRight},
              {"at once", Align::kRight},
              {""}};
  for (const json& queue : queues) {
    const bool limited = At(queue, "concurrency").is_number();
    const bool has_rate = At(queue, "rate").is_string();
    const std::uint64_t due = Number(At(queue, "due"));
    const std::uint64_t held = Number(At(queue, "held"));
    std::string notes = IsTrue(At(queue, "paused")) ? "paused" : "";
    if (held > 0) notes += fmt::format("{}{} held", notes.empty() ? "" : ", ", held);
    const json& per_minute = At(queue, "done_per_minute");
    table.Add({ShowText(At(queue, "name")),
               std::to_string(Number(At(queue, "waiting"))),
               std::to_string(due),
               due > 0 ? ShowSpan(At(queue, "oldest")) : "-",
               std::to_string(Number(At(queue, "running"))),
               std::to_string(Number(At(queue, "dead"))),
               fmt::format("{:.1f}", per_minute.is_number() ? per_minute.get<double>() : 0.0),
               has_rate ? ShowText(At(queue, "rate")) : "-",
               limited ? std::to_string(Number(At(queue, "concurrency"))) : "-",
               notes});
  }
  return table.text();
}

std::string DescribeWorkers(const json& workers) {
  if (workers.empty()) return "  no task worker is there: nothing that waits begins\n";
  Table table{{"worker", Align::kRight},
              {"pid", Align::kRight},
              {"threads", Align::kRight},
              {"running", Align::kRight}};
  for (const json& worker : workers) {
    table.Add({std::to_string(Number(At(worker, "number"))),
               std::to_string(Number(At(worker, "pid"))),
               std::to_string(Number(At(worker, "threads"))),
               std::to_string(Number(At(worker, "running")))});
  }
  return table.text();
}

std::string DescribeRunning(const json& tasks, double now) {
  if (tasks.empty()) return "  nothing runs\n";
  Table table{{"running", Align::kRight},
              {"name"},
              {"queue"},
              {"worker", Align::kRight},
              {"for", Align::kRight},
              {"progress", Align::kRight},
              {""}};
  for (const json& task : tasks) {
    table.Add({std::to_string(Number(At(task, "id"))),
               ShowText(At(task, "name")),
               ShowText(At(task, "queue")),
               std::to_string(Number(At(task, "worker"))),
               ShowSpan(At(task, "begun"), now),
               ProgressOf(task),
               IsTrue(At(task, "cancel_asked")) ? "is to end" : ""});
  }
  return table.text();
}

std::string DescribeDead(const json& tasks, double now) {
  if (tasks.empty()) return "  no task is dead\n";
  Table table{{"dead", Align::kRight},
              {"name"},
              {"queue"},
              {"attempts", Align::kRight},
              {"since", Align::kRight},
              {"error"}};
  for (const json& task : tasks) {
    table.Add({std::to_string(Number(At(task, "id"))),
               ShowText(At(task, "name")),
               ShowText(At(task, "queue")),
               std::to_string(Number(At(task, "attempts"))),
               ShowSpan(At(task, "ended"), now),
               ShowLastLine(At(task, "traceback"))});
  }
  return table.text();
}

std::string DescribeTask(const json& task, double now) {
  std::string text =
      fmt::format("task {}   {}\n", Number(At(task, "id")), ShowText(At(task, "state")));
  const auto add = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<9} {}\n", name, value);
  };
  const auto add_number = [&](std::string_view name, const char* key) {
    if (Number(At(task, key)) > 0) add(name, std::to_string(Number(At(task, key))));
  };
  add("name", ShowText(At(task, "name")));
  add("queue", ShowText(At(task, "queue")));
  add("priority", std::to_string(Number(At(task, "priority"))));
  add("enqueued", MomentOf(At(task, "enqueued"), now));
  if (At(task, "eta") > At(task, "enqueued")) add("eta", MomentOf(At(task, "eta"), now));
  const json& begun = At(task, "begun");
  const json& ended = At(task, "ended");
  if (begun.is_number()) add("begun", MomentOf(begun, now));
  if (ended.is_number()) add("ended", MomentOf(ended, now));
  if (begun.is_number() && ended.is_number()) add("took", ShowSpan(begun, ended.get<double>()));
  add("attempts", std::to_string(Number(At(task, "attempts"))));
  if (Number(At(task, "deaths")) > 0) {
    add("deaths", fmt::format("{} of workers that ran it", Number(At(task, "deaths"))));
  }
  add_number("worker", "worker");
  if (At(task, "progress").is_number()) add("progress", ProgressOf(task));
  add_number("parent", "parent");
  add_number("callback", "group");
  if (Number(At(task, "members_left")) > 0) {
    add("waits for", Plural(Number(At(task, "members_left")), "member"));
  }
  if (IsTrue(At(task, "cancel_asked"))) add("cancelled", "it is to end");
  if (At(task, "result").is_string()) add("result", ShowText(At(task, "result")));
  return text + ShowLines(At(task, "traceback"), "  ");
}

}  // namespace onebox::main
