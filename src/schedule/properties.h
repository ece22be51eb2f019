#pragma once
// What holds for any text of a trigger and any time: fuzzing and random tests try it, a test replays.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/wire.h"
#include "schedule/firings.h"
#include "schedule/trigger.h"

namespace onebox::schedule::properties {

constexpr std::array kKinds = {TriggerKind::kEvery, TriggerKind::kCron, TriggerKind::kAt};
// Whole and half hours, a skipped day, changes at midnight, odd offsets, none.
constexpr std::array<std::string_view, 12> kZones = {"UTC",
                                                     "Europe/Berlin",
                                                     "America/New_York",
                                                     "Australia/Lord_Howe",
                                                     "Asia/Kathmandu",
                                                     "America/Sao_Paulo",
                                                     "Pacific/Apia",
                                                     "Africa/Casablanca",
                                                     "America/Havana",
                                                     "Asia/Gaza",
                                                     "Africa/Monrovia",
                                                     "Asia/Manila"};
constexpr int kFirings = 16;

inline void CheckSameAgain(const Trigger& trigger) {
  const auto again = Trigger::Parse(trigger.kind(), trigger.Text(), trigger.zone().name());
  CHECK(again.ok() && again.value() == trigger);
  CHECK(again.value().Text() == trigger.Text());
}

// Each firing is after the one before, nothing is between them, and counting agrees with finding.
inline std::vector<WallTime> CheckFirings(const Trigger& trigger, WallTime after) {
  std::vector<WallTime> firings;
  for (WallTime at = after; firings.size() < kFirings;) {
    const auto next = NextAfter(trigger, at);
    if (!next) break;
    CHECK(*next > at && NextAfter(trigger, at + (*next - at) / 2) == next);
    CHECK(NextAfter(trigger, *next - Duration(1)) == next);
    firings.push_back(*next);
    CHECK(CountFirings(trigger, after, *next) == firings.size());
    CHECK(CountFirings(trigger, after, *next - Duration(1)) == firings.size() - 1);
    at = *next;
  }
  return firings;
}

inline void CheckJitter(const Trigger& trigger, const std::vector<WallTime>& firings) {
  for (std::size_t i = 1; i < firings.size(); ++i) {
    for (const Duration jitter : {Duration(1), Duration(std::chrono::minutes(7))}) {
      const Duration delay = JitterOf(trigger, "job", firings[i - 1], jitter);
      CHECK(delay >= Duration(0) && delay < jitter && firings[i - 1] + delay < firings[i]);
    }
  }
}

// Each firing is due or missed, and none is both.
inline void CheckDue(const Trigger& trigger, WallTime handled, const std::vector<WallTime>& all) {
  if (all.empty()) return;
  const WallTime now = all.back() + Duration(1);
  for (const CatchUp which : {CatchUp::kOne, CatchUp::kAll, CatchUp::kNone}) {
    const Due due = FindDue(trigger, handled, now, {.which = which, .all_max = 5});
    CHECK(due.missed + due.firings.size() == all.size() && due.handled == all.back());
    CHECK(std::equal(due.firings.rbegin(), due.firings.rend(), all.rbegin()));
    CHECK(due.missed == 0 || (due.missed_first == all.front() &&
                              due.missed_last == all[static_cast<std::size_t>(due.missed) - 1]));
  }
  CHECK(FindDue(trigger, now, now, {}).firings.empty() &&
        !FindDue(trigger, now, handled, {}).handled);
}

inline void CheckTriggerFrom(const Trigger& trigger, WallTime after) {
  const std::vector<WallTime> firings = CheckFirings(trigger, after);
  CheckJitter(trigger, firings);
  CheckDue(trigger, after, firings);
}

inline void CheckRefusal(const std::string& message) {
  CHECK(!message.empty() && !message.ends_with('.'));
  CHECK(std::none_of(
      message.begin(), message.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; }));
}

// One byte chooses kind and zone, four the time, a minute each from 1970 on; the rest is the text.
inline void CheckTrigger(std::string_view data) {
  Reader reader(data);
  const unsigned choice = reader.Read<std::uint8_t>();
  const std::chrono::minutes minute(reader.Read<std::uint32_t>() % (70U * 366 * 24 * 60));
  if (!reader.ok()) return;
  const auto trigger = Trigger::Parse(kKinds[choice % kKinds.size()],
                                      reader.rest(),
                                      kZones[choice / kKinds.size() % kZones.size()]);
  if (!trigger.ok()) return CheckRefusal(trigger.error().message);
  CheckSameAgain(trigger.value());
  CheckTriggerFrom(trigger.value(), WallTime(minute));
}

}  // namespace onebox::schedule::properties
