#include "schedule/trigger.h"

#include <algorithm>

#include <fmt/format.h>

#include "schedule/at.h"
#include "schedule/cron.h"
#include "schedule/every.h"

namespace onebox::schedule {
namespace {

constexpr sys_seconds kLastInstant = std::chrono::floor<seconds>(WallTime::max());
constexpr sys_seconds kBeatBegan{kFirstMonday.time_since_epoch()};

Result<Meaning> ParseMeaning(TriggerKind kind, std::string_view text) {
  switch (kind) {
    case TriggerKind::kEvery:
      return ParseEvery(text);
    case TriggerKind::kCron:
      return Meaning(TRY(ParseCron(text)));
    case TriggerKind::kAt:
      break;
  }
  return Meaning(TRY(ParseAt(text)));
}

// The wall time from which on wall times count for the instants from `instant` on, within the
// stretch that it is in. It is what the clock shows, but
//   - what was shown before does not count again where only the first time counts,
//   - what was skipped right before counts where that is made up for.
local_seconds CountsFrom(const WallTimes& times,
                         const Zone& zone,
                         const Stretch& stretch,
                         sys_seconds instant) {
  const local_seconds shown = stretch.Shown(instant);
  if (instant - stretch.begin >= 2 * kOffsetMax) return shown;  // the change is long past
  const local_seconds reached = zone.ReachedBefore(stretch);
  local_seconds from = shown;
  if (times.twice == ShownTwice::kFirstCounts) from = std::max(from, reached);
  if (times.skipped == Skipped::kFiresAfterwards && instant == stretch.begin)
    from = std::min(from, reached);
  return from;
}

// Where to go on when no wall time before `wall` counts, nor comes in this stretch. Changes close to
// `from` may show again what lies before it, so they are looked at one by one. Whatever comes later
// shows nothing from before `from`, and may be passed over until `wall` is near.
sys_seconds GoOnAt(const Stretch& stretch, sys_seconds from, local_seconds wall) {
  if (stretch.end - from < 2 * kOffsetMax) return stretch.end;
  return std::max(stretch.end, sys_seconds(wall.time_since_epoch()) - kOffsetMax);
}

std::optional<sys_seconds> Next(const WallTimes& times, const Zone& zone, sys_seconds after) {
  for (sys_seconds from = after + seconds(1); from <= kLastInstant;) {
    const Stretch stretch = zone.At(from);
    const auto wall = FirstWall(times, CountsFrom(times, zone, stretch, from));
    if (!wall) return std::nullopt;
    const sys_seconds instant = std::max(from, stretch.InstantOf(*wall));
    if (instant < stretch.end) return instant;
    from = GoOnAt(stretch, from, *wall);
  }
  return std::nullopt;
}

std::optional<sys_seconds> Next(const Beat& beat, const Zone& /*zone*/, sys_seconds after) {
  const seconds since = (after - kBeatBegan) % beat.apart;  // negative before 1970
  return after - since + (since < seconds(0) ? seconds(0) : beat.apart);
}

// In one stretch: what was skipped before it is one firing at its begin, with what is due then.
std::int64_t CountIn(const WallTimes& times,
                     local_seconds counts_from,
                     local_seconds shown,
                     local_seconds to) {
  if (counts_from >= shown) return CountWall(times, counts_from, to);
  const local_seconds second = shown + seconds(1);
  return (CountWall(times, counts_from, second) > 0 ? 1 : 0) + CountWall(times, second, to);
}

std::int64_t Count(const WallTimes& times, const Zone& zone, sys_seconds after, sys_seconds to) {
  std::int64_t count = 0;
  for (sys_seconds from = after + seconds(1); from <= to;) {
    const Stretch stretch = zone.At(from);
    const sys_seconds end = std::min(stretch.end, to + seconds(1));
    count += CountIn(
        times, CountsFrom(times, zone, stretch, from), stretch.Shown(from), stretch.Shown(end));
    from = end;
  }
  return count;
}

std::int64_t Count(const Beat& beat, const Zone& zone, sys_seconds after, sys_seconds to) {
  const sys_seconds first = *Next(beat, zone, after);
  return first > to ? 0 : (to - first) / beat.apart + 1;
}

}  // namespace

Result<Trigger> Trigger::Parse(TriggerKind kind, std::string_view text, std::string_view zone) {
  if (text.size() > kTriggerTextMax)
    return OperatorError(fmt::format("a trigger has at most {} characters", kTriggerTextMax));
  Meaning meaning = TRY(ParseMeaning(kind, text));
  return Trigger(kind, std::move(meaning), TRY(Zone::Find(zone)));
}

std::string Trigger::Text() const {
  switch (kind_) {
    case TriggerKind::kEvery:
      return FormatEvery(meaning_);
    case TriggerKind::kCron:
      return FormatCron(std::get<WallTimes>(meaning_));
    case TriggerKind::kAt:
      break;
  }
  return FormatAt(std::get<WallTimes>(meaning_));
}

std::optional<WallTime> NextAfter(const Trigger& trigger, WallTime after) {
  const auto whole = std::chrono::floor<seconds>(after);
  const auto next = std::visit(
      [&](const auto& meaning) { return Next(meaning, trigger.zone(), whole); }, trigger.meaning());
  if (!next || *next > kLastInstant) return std::nullopt;
  return WallTime(*next);
}

std::uint64_t CountFirings(const Trigger& trigger, WallTime after, WallTime through) {
  if (through <= after) return 0;
  const auto from = std::chrono::floor<seconds>(after);
  const auto to = std::chrono::floor<seconds>(through);
  const auto count = [&](const auto& meaning) { return Count(meaning, trigger.zone(), from, to); };
  return static_cast<std::uint64_t>(std::visit(count, trigger.meaning()));
}

}  // namespace onebox::schedule
