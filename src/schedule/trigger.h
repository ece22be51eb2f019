#pragma once
// Trigger: says when a job is due.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "schedule/meaning.h"
#include "schedule/zone.h"

namespace onebox::schedule {

// How it is written, and the word that stands for it: every="5 minutes", cron="0 4 * * *",
// at="mon-fri 21:00". What each may say: every.h, cron.h, at.h.
enum class TriggerKind : unsigned char { kEvery, kCron, kAt };

constexpr std::size_t kTriggerTextMax = 1024;

// What is due when is a property of the trigger and the time zone database alone: it depends on no
// start and no run before. Where clocks are changed:
//   - a wall time that is skipped fires once, at the first instant after the change; all that one
//     change skips are one firing;
//   - a wall time that comes twice fires the first time;
//   - what runs through the hour (every 15 minutes, "*/15 * * * *", "@hourly") goes on with the
//     clock: nothing is made up for, and what comes twice fires twice. So where the change is a
//     multiple of the interval, as an hour is of 15 minutes, the distance stays the same.
// docs/decisions/0018-when-a-trigger-fires.md has the reasons.
class Trigger {
 public:
  // `zone` is a name of the time zone database, or empty for this machine's.
  static Result<Trigger> Parse(TriggerKind kind, std::string_view text, std::string_view zone);

  TriggerKind kind() const { return kind_; }
  const Zone& zone() const { return zone_; }
  const Meaning& meaning() const { return meaning_; }
  // In the plainest way; Parse() reads it back as an equal trigger.
  std::string Text() const;

  bool operator==(const Trigger&) const = default;

 private:
  Trigger(TriggerKind kind, Meaning meaning, Zone zone)
      : kind_(kind), meaning_(std::move(meaning)), zone_(zone) {}

  TriggerKind kind_;
  Meaning meaning_;
  Zone zone_;
};

// The first firing after that instant, which itself does not count. Firings are whole seconds.
// Nothing where none comes: after the only one, or beyond what a WallTime holds (2262).
std::optional<WallTime> NextAfter(const Trigger& trigger, WallTime after);

// How many firings there are after `after` and up to `through`; by arithmetic, so that a year of
// minutes costs microseconds.
std::uint64_t CountFirings(const Trigger& trigger, WallTime after, WallTime through);

}  // namespace onebox::schedule
