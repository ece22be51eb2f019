#include "broker/job_words.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "broker/words.h"
#include "schedule/names.h"

namespace onebox::broker {
namespace {

using schedule::JobSpec;
using schedule::NameIn;

// What the member says, or what is there already where it is missing.
template <typename Value, std::size_t kSize>
Status ReadName(const json& object,
                const char* key,
                const std::array<schedule::Named<Value>, kSize>& names,
                Value& out) {
  const json& value = At(object, key);
  if (value.is_null()) return Done();
  const auto named = schedule::ValueIn(names, Text(value));
  if (!named) return Wrong(fmt::format("\"{}\" is no {}", Text(value), key));
  out = *named;
  return Done();
}

Status ReadSpan(const json& object, const char* key, Duration& out) {
  const json& value = At(object, key);
  if (value.is_null()) return Done();
  const auto span = DurationOf(value);
  if (!span) return Wrong(fmt::format("\"{}\" is to be seconds, 0 or more", key));
  out = *span;
  return Done();
}

json TimeOrNull(const std::optional<WallTime>& time) {
  return time ? json(SecondsOf(*time)) : json();
}

}  // namespace

std::string_view NameOf(schedule::RunState state) {
  return NameIn(schedule::kRunStateNames, state);
}

Result<JobSpec> ReadJob(const json& value) {
  JobSpec job;
  job.name = Text(At(value, "name"));
  job.zone = Text(At(value, "tz"));
  job.what = Text(At(value, "what"));
  int triggers = 0;
  for (const auto& [name, kind] : schedule::kTriggerNames) {
    const json& text = At(value, std::string(name).c_str());
    if (text.is_null()) continue;
    job.kind = kind;
    job.text = Text(text);
    ++triggers;
  }
  if (triggers != 1) return Wrong("a job has one of every, cron and at");
  TRY(ReadSpan(value, "jitter", job.jitter));
  TRY(ReadSpan(value, "timeout", job.timeout));
  TRY(ReadName(value, "overlap", schedule::kOverlapNames, job.overlap));
  TRY(ReadName(value, "catch_up", schedule::kCatchUpNames, job.catch_up.which));
  TRY(ReadName(value, "kind", schedule::kWorkNames, job.work));
  job.retries =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(Number(At(value, "retries")), 1000));
  return job;
}

json Show(const schedule::JobRun& run) {
  json shown = {{"job", run.job},
                {"run", run.run},
                {"outcome", NameOf(run.state)},
                {"firing", SecondsOf(run.firing)},
                {"last", SecondsOf(run.last)},
                {"count", run.count},
                {"manual", run.manual},
                {"worker", run.worker},
                {"attempts", run.attempts},
                {"begun", TimeOrNull(run.begun)},
                {"ended", TimeOrNull(run.ended)},
                {"lateness", nullptr},
                {"duration", nullptr},
                {"traceback", run.traceback}};
  if (run.begun) shown["lateness"] = SecondsOf(*run.begun) - SecondsOf(run.firing);
  if (run.begun && run.ended) shown["duration"] = SecondsOf(*run.ended) - SecondsOf(*run.begun);
  return shown;
}

json Show(const schedule::JobStatus& status) {
  const JobSpec& job = *status.job;
  return {{"name", job.name},
          {"source", status.source == schedule::Source::kConfig ? "config" : "app"},
          {"trigger", fmt::format("{} {}", NameIn(schedule::kTriggerNames, job.kind), job.text)},
          {"tz", job.zone},
          {"overlap", NameIn(schedule::kOverlapNames, job.overlap)},
          {"catch_up", NameIn(schedule::kCatchUpNames, job.catch_up.which)},
          {"kind", NameIn(schedule::kWorkNames, job.work)},
          {"what", job.what},
          {"error", status.error},
          {"next", TimeOrNull(status.next)},
          {"paused", status.paused},
          {"pending", status.pending},
          {"waiting", status.waiting},
          {"running", status.running},
          {"missed_total", status.missed_total},
          {"skipped_total", status.skipped_total},
          {"last", status.last ? Show(*status.last) : json()}};
}

std::string PayloadOf(const schedule::Firing& firing, std::int64_t fence) {
  return json{{"job", firing.job->name},
              {"firing", SecondsOf(firing.time)},
              {"kind", NameIn(schedule::kWorkNames, firing.job->work)},
              {"what", firing.job->what},
              {"fence", fence}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace onebox::broker
