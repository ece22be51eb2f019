#include "main/jobs_text.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "main/report.h"

namespace onebox::main {
namespace {

using nlohmann::json;

void AddNote(std::string& notes, std::string_view note) {
  if (!notes.empty()) notes += ", ";
  notes += note;
}

std::string TriggerOf(const json& job) {
  const std::string zone = ShowText(At(job, "tz"));
  const std::string trigger = ShowText(At(job, "trigger"));
  return zone.empty() ? trigger : fmt::format("{} {}", trigger, zone);
}

// "missed", or "missed 3" where a line stands for so many.
std::string OutcomeOf(const json& run) {
  const std::uint64_t count = Number(At(run, "count"));
  const std::string outcome = ShowText(At(run, "outcome"));
  return count > 1 ? fmt::format("{} {}", outcome, count) : outcome;
}

std::string NotesOf(const json& job) {
  std::string notes;
  if (IsTrue(At(job, "paused"))) AddNote(notes, "paused");
  if (const std::uint64_t runs = Number(At(job, "running")); runs == 1) {
    AddNote(notes, "runs");
  } else if (runs > 1) {
    AddNote(notes, fmt::format("runs {} times", runs));
  }
  if (const std::uint64_t missed = Number(At(job, "missed_total")); missed > 0) {
    AddNote(notes, fmt::format("{} missed", missed));
  }
  if (const std::string error = ShowText(At(job, "error")); !error.empty()) AddNote(notes, error);
  return notes;
}

std::string UntilNext(const json& job, double now) {
  const json& next = At(job, "next");
  if (!next.is_number() || IsTrue(At(job, "paused"))) return "-";
  return ShowSpan(next.get<double>() - now);
}

}  // namespace

std::string DescribeJobs(const json& jobs, double now) {
  if (jobs.empty()) return "  there is no job\n";
  Table table{{"job"},
              {"when"},
              {"next"},
              {"in", Align::kRight},
              {"last"},
              {"ago", Align::kRight},
              {"took", Align::kRight},
              {""}};
  for (const json& job : jobs) {
    const json& last = At(job, "last");
    const json& begun = At(last, "begun");
    table.Add({ShowText(At(job, "name")),
               TriggerOf(job),
               IsTrue(At(job, "paused")) ? "-" : ShowTime(At(job, "next")),
               UntilNext(job, now),
               last.is_object() ? OutcomeOf(last) : "-",
               ShowSpan(begun.is_number() ? begun : At(last, "firing"), now),
               ShowSpan(At(last, "duration")),
               NotesOf(job)});
  }
  return table.text();
}

json NextJobs(const json& jobs) {
  std::vector<json> next;
  for (const json& job : jobs) {
    if (At(job, "next").is_number() && !IsTrue(At(job, "paused"))) next.push_back(job);
  }
  std::stable_sort(next.begin(), next.end(), [](const json& one, const json& other) {
    return At(one, "next") < At(other, "next");
  });
  return next;
}

std::string DescribeNext(const json& jobs, double now) {
  if (jobs.empty()) return "  no job fires again by itself\n";
  Table table{{"next"}, {"in", Align::kRight}, {"job"}, {"when"}};
  for (const json& job : jobs) {
    table.Add({ShowTime(At(job, "next")),
               UntilNext(job, now),
               ShowText(At(job, "name")),
               TriggerOf(job)});
  }
  return table.text();
}

std::string DescribeRuns(const json& runs) {
  if (runs.empty()) return "  nothing has run so far\n";
  Table table{{"due"},
              {"job"},
              {"outcome"},
              {"late", Align::kRight},
              {"took", Align::kRight},
              {"task", Align::kRight},
              {""}};
  for (const json& run : runs) {
    const std::uint64_t task = Number(At(run, "run"));
    std::string notes = IsTrue(At(run, "manual")) ? "by hand" : "";
    if (const std::string error = ShowLastLine(At(run, "traceback")); !error.empty()) {
      AddNote(notes, error);
    }
    table.Add({ShowTime(At(run, "firing")),
               ShowText(At(run, "job")),
               OutcomeOf(run),
               ShowSpan(At(run, "lateness")),
               ShowSpan(At(run, "duration")),
               task > 0 ? std::to_string(task) : "-",
               notes});
  }
  return table.text();
}

}  // namespace onebox::main
