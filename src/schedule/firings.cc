#include "schedule/firings.h"

#include <algorithm>

namespace onebox::schedule {
namespace {

// FNV-1a over the name, then splitmix64's finalizer, so that firings of one job differ in all bits.
// Both are public domain, and neither may change: jobs would begin at other times.
std::uint64_t HashOf(std::string_view job, WallTime firing) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const char c : job)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01B3;
  hash += static_cast<std::uint64_t>(firing.time_since_epoch().count()) * 0x9E37'79B9'7F4A'7C15;
  hash = (hash ^ hash >> 30) * 0xBF58'476D'1CE4'E5B9;
  hash = (hash ^ hash >> 27) * 0x94D0'49BB'1331'11EB;
  return hash ^ hash >> 31;
}

// The first instant with no more than `count` firings after it, up to `now`. It is a firing itself,
// the newest but `count`: there are more than that after `handled`.
WallTime NewestBut(std::uint64_t count, const Trigger& trigger, WallTime handled, WallTime now) {
  auto more = std::chrono::floor<std::chrono::seconds>(handled);
  auto enough = std::chrono::floor<std::chrono::seconds>(now);
  while (enough - more > std::chrono::seconds(1)) {
    const auto middle = more + (enough - more) / 2;
    (CountFirings(trigger, middle, now) > count ? more : enough) = middle;
  }
  return enough;
}

}  // namespace

Duration JitterOf(const Trigger& trigger, std::string_view job, WallTime firing, Duration jitter) {
  if (const auto next = NextAfter(trigger, firing)) jitter = std::min(jitter, *next - firing);
  if (jitter <= Duration(0)) return Duration(0);
  return Duration(HashOf(job, firing) % static_cast<std::uint64_t>(jitter.count()));
}

Due FindDue(const Trigger& trigger, WallTime handled, WallTime now, const CatchUpRule& rule) {
  Due due;
  const std::uint64_t count = CountFirings(trigger, handled, now);
  if (count == 0) return due;
  due.handled = NewestBut(0, trigger, handled, now);
  std::uint64_t kept = 1;
  if (rule.which == CatchUp::kAll) kept = std::min<std::uint64_t>(count, rule.all_max);
  if (rule.which == CatchUp::kNone && now - *due.handled >= rule.late) kept = 0;
  due.missed = count - kept;
  WallTime before = handled;
  if (due.missed > 0) {
    before = NewestBut(kept, trigger, handled, now);
    due.missed_first = NextAfter(trigger, handled);
    due.missed_last = before;
  }
  due.firings.reserve(kept);
  while (due.firings.size() < kept)
    before = due.firings.emplace_back(*NextAfter(trigger, before));
  return due;
}

}  // namespace onebox::schedule
