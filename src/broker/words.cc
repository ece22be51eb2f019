#include "broker/words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/json.h"

namespace onebox::broker {
namespace {

constexpr std::string_view kDefaultQueue = "default";
constexpr double kSecondsMax = 9e9;  // a WallTime ends in 2262
constexpr double kNanoseconds = 1e9;
constexpr int kWorkerBits = 16;
constexpr std::int64_t kWorkerMask = (1 << kWorkerBits) - 1;

std::optional<double> NumberIn(const json& value, double least) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < least || number > kSecondsMax) return std::nullopt;
  return number;
}

std::string_view TextIn(const json& object, const char* key, std::string_view otherwise = {}) {
  const json& value = At(object, key);
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : otherwise;
}

json TimeOrNull(const std::optional<WallTime>& time) {
  return time ? json(SecondsOf(*time)) : json();
}

double InSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Error NotAs(std::string_view key, std::string_view expected) {
  return Wrong(fmt::format("\"{}\" is to be {}", key, expected));
}

// Members that are there have to be right; null counts as missing.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  Result<std::optional<Duration>> Span(const char* key) const {
    const json& value = At(object_, key);
    if (value.is_null()) return std::optional<Duration>();
    const auto duration = DurationOf(value);
    if (!duration) return NotAs(key, "seconds, 0 or more");
    return duration;
  }
  Result<std::optional<WallTime>> Instant(const char* key) const {
    const json& value = At(object_, key);
    if (value.is_null()) return std::optional<WallTime>();
    const auto time = TimeOf(value);
    if (!time) return NotAs(key, "a time, in seconds since 1970");
    return time;
  }
  Result<std::optional<std::int64_t>> Whole(const char* key,
                                            std::int64_t least,
                                            std::int64_t most) const {
    const json& value = At(object_, key);
    if (value.is_null()) return std::optional<std::int64_t>();
    const bool right = value.is_number_integer() && value.get<std::int64_t>() >= least &&
                       value.get<std::int64_t>() <= most;
    if (!right) return NotAs(key, fmt::format("a number from {} to {}", least, most));
    return std::optional(value.get<std::int64_t>());
  }

 private:
  const json& object_;
};

}  // namespace

double SecondsOf(WallTime time) {
  return InSeconds(time.time_since_epoch());
}

std::optional<WallTime> TimeOf(const json& value) {
  const auto seconds = NumberIn(value, -kSecondsMax);
  if (!seconds) return std::nullopt;
  return WallTime(Duration(std::llround(*seconds * kNanoseconds)));
}

std::optional<Duration> DurationOf(const json& value) {
  const auto seconds = NumberIn(value, 0);
  if (!seconds) return std::nullopt;
  return Duration(std::llround(*seconds * kNanoseconds));
}

Result<queue::NewTask> ReadTask(const json& value, Duration default_timeout, WallTime now) {
  if (!value.is_object()) return NotAs("tasks", "objects");
  const Fields fields(value);
  queue::NewTask task{.queue = TextIn(value, "queue", kDefaultQueue),
                      .name = TextIn(value, "name"),
                      .payload = TextIn(value, "payload"),
                      .unique_key = TextIn(value, "unique"),
                      .dedupe_key = TextIn(value, "dedupe")};
  const auto priority = TRY(fields.Whole("priority", 0, queue::kPriorityMax));
  task.priority = static_cast<int>(priority.value_or(queue::kPriorityDefault));
  task.retries =
      static_cast<std::uint32_t>(TRY(fields.Whole("retries", 0, UINT32_MAX)).value_or(0));
  task.parent = TRY(fields.Whole("parent", 0, INT64_MAX)).value_or(queue::kNoTask);
  task.timeout = TRY(fields.Span("timeout")).value_or(default_timeout);
  if (task.timeout == Duration()) task.timeout = default_timeout;
  task.result_keep = TRY(fields.Span("keep")).value_or(Duration());
  task.eta = TRY(fields.Instant("eta")).value_or(WallTime{});
  if (const auto countdown = TRY(fields.Span("countdown"))) task.eta = now + *countdown;
  task.expires = TRY(fields.Instant("expires"));
  if (const auto expires_in = TRY(fields.Span("expires_in"))) task.expires = now + *expires_in;
  return task;
}

queue::Held ReadHeld(const json& value) {
  if (value.is_array()) {
    if (value.size() != 2 || !value[0].is_number_integer() || !value[1].is_number_integer()) {
      return {};
    }
    return {value[0].get<queue::TaskId>(), value[1].get<queue::Token>()};
  }
  const json& id = At(value, "id");
  const json& token = At(value, "token");
  if (!id.is_number_integer() || !token.is_number_integer()) return {};
  return {id.get<queue::TaskId>(), token.get<queue::Token>()};
}

std::vector<queue::TaskId> ReadIds(const json& value) {
  std::vector<queue::TaskId> ids;
  if (!value.is_array()) return ids;
  for (const json& id : value) {
    if (id.is_number_integer()) ids.push_back(id.get<queue::TaskId>());
  }
  return ids;
}

std::uint32_t ReadLimit(const json& body, std::uint32_t otherwise, std::uint32_t most) {
  const json& limit = At(body, "limit");
  if (!limit.is_number_unsigned()) return otherwise;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(limit.get<std::uint64_t>(), 1, most));
}

Error Wrong(std::string message) {
  return {Blame::kApp, Retry::kNever, 0, std::move(message)};
}

std::string_view NameOf(queue::State state) {
  constexpr std::array<std::string_view, 8> kNames = {
      "", "held", "waiting", "running", "done", "expired", "cancelled", "dead"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string_view NameOf(queue::Outcome outcome) {
  switch (outcome) {
    case queue::Outcome::kDone:
      return "done";
    case queue::Outcome::kNotHeld:
      return "not_held";
    case queue::Outcome::kCancelAsked:
      return "cancel_asked";
    case queue::Outcome::kTooLarge:
      return "too_large";
    case queue::Outcome::kRunning:
      return "running";
    case queue::Outcome::kEnded:
      return "ended";
    case queue::Outcome::kUnknown:
      return "unknown";
    case queue::Outcome::kKeyTaken:
      return "key_taken";
    case queue::Outcome::kNextRefused:
      return "next_refused";
  }
  CHECK(false);
}

std::string_view NameOf(queue::Enqueued::As as) {
  switch (as) {
    case queue::Enqueued::As::kNew:
      return "new";
    case queue::Enqueued::As::kUnique:
      return "unique";
    case queue::Enqueued::As::kDeduped:
      return "deduped";
  }
  CHECK(false);
}

std::int64_t HolderOf(std::uint32_t worker, std::int32_t pid) {
  return std::int64_t{pid} << kWorkerBits | (worker & kWorkerMask);
}

std::uint32_t WorkerOf(std::int64_t holder) {
  return static_cast<std::uint32_t>(holder & kWorkerMask);
}

std::int32_t PidOf(std::int64_t holder) {
  return static_cast<std::int32_t>(holder >> kWorkerBits);
}

json Show(const queue::TaskStatus& status) {
  json shown = {{"id", status.id},
                {"state", NameOf(status.state)},
                {"queue", status.queue},
                {"name", status.name},
                {"priority", status.priority},
                {"attempts", status.attempts},
                {"deaths", status.deaths},
                {"members_left", status.members_left},
                {"group", status.group},
                {"parent", status.parent},
                {"enqueued", SecondsOf(status.enqueued)},
                {"eta", SecondsOf(status.eta)},
                {"begun", TimeOrNull(status.begun)},
                {"ended", TimeOrNull(status.ended)},
                {"worker", WorkerOf(status.holder)},
                {"progress", status.progress ? json(*status.progress) : json()},
                {"cancel_asked", status.cancel_asked}};
  if (status.state == queue::State::kDone) {
    shown["result"] = status.outcome;
  } else if (!status.outcome.empty()) {
    shown["traceback"] = status.outcome;
  }
  return shown;
}

json Show(const queue::QueueFigures& figures) {
  return {{"name", figures.name},
          {"paused", figures.paused == queue::QueueFigures::Paused::kYes},
          {"held", figures.held},
          {"waiting", figures.waiting},
          {"due", figures.due},
          {"running", figures.running},
          {"dead", figures.dead},
          {"bytes", figures.bytes},
          {"oldest", InSeconds(figures.oldest)},
          {"done_per_minute", figures.done_per_minute},
          {"enqueued_total", figures.enqueued_total},
          {"done_total", figures.done_total},
          {"failed_total", figures.failed_total},
          {"expired_total", figures.expired_total},
          {"cancelled_total", figures.cancelled_total},
          {"dead_total", figures.dead_total}};
}

json Show(const queue::Enqueued& enqueued) {
  return {{"id", enqueued.id}, {"as", NameOf(enqueued.as)}};
}

json Show(const queue::Leased& leased, const Sender& from) {
  return {{"id", leased.held.id},
          {"token", leased.held.token},
          {"queue", from.queue},
          {"broker", from.broker},
          {"name", leased.name},
          {"payload", leased.payload},
          {"priority", leased.priority},
          {"eta", SecondsOf(leased.eta)},
          {"enqueued", SecondsOf(leased.enqueued)},
          {"expires", TimeOrNull(leased.expires)},
          {"attempt", leased.attempt},
          {"deaths", leased.deaths},
          {"retries", leased.retries},
          {"timeout", InSeconds(leased.timeout)},
          {"group", leased.group},
          {"parent", leased.parent}};
}

json ShowError(const Error& error) {
  return {{"error", error.message}, {"retry", error.retry != Retry::kNever}};
}

}  // namespace onebox::broker
