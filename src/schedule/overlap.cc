#include "schedule/overlap.h"

#include <algorithm>

namespace onebox::schedule {
namespace {

// What FindDue() gives, but for a newest firing that has not begun, and late only if it is later than
// its jitter made it.
Due FindBegun(const Trigger& trigger, const JobSpec& job, WallTime handled, WallTime now) {
  if (job.jitter == Duration(0)) return FindDue(trigger, handled, now, job.catch_up);
  WallTime through = now;
  auto newest = FindDue(trigger, handled, through, {}).handled;
  if (newest && BeginOf(trigger, job, *newest) > now) {
    through = *newest - Duration(1);
    newest = FindDue(trigger, handled, through, {}).handled;
  }
  if (!newest) return {};
  CatchUpRule rule = job.catch_up;
  rule.late += BeginOf(trigger, job, *newest) - *newest - (now - through);
  return FindDue(trigger, handled, through, rule);
}

// Those from `begin` to before `end` are told, and not run.
void Tell(std::vector<WallTime>& firings, std::size_t begin, std::size_t end, Told& told) {
  if (begin >= end) return;
  told.Add(end - begin, firings[begin], firings[end - 1]);
  const auto at = [&](std::size_t index) {
    return firings.begin() + static_cast<std::ptrdiff_t>(index);
  };
  firings.erase(at(begin), at(end));
}

}  // namespace

void Told::Add(std::uint64_t more, WallTime from, WallTime to) {
  first = count == 0 ? from : std::min(first, from);
  last = count == 0 ? to : std::max(last, to);
  count += more;
}

WallTime BeginOf(const Trigger& trigger, const JobSpec& job, WallTime firing) {
  if (job.jitter == Duration(0)) return firing;
  return firing + JitterOf(trigger, job.name, firing, job.jitter);
}

Decision Decide(const Trigger& trigger,
                const JobSpec& job,
                WallTime handled,
                std::size_t unended,
                WallTime now) {
  Due due = FindBegun(trigger, job, handled, now);
  Decision decision;
  decision.handled = due.handled;
  decision.run = std::move(due.firings);
  if (due.missed > 0) decision.missed.Add(due.missed, *due.missed_first, *due.missed_last);
  auto& run = decision.run;
  if (job.overlap == Overlap::kSkip && unended > 0) Tell(run, 0, run.size(), decision.skipped);
  if (job.overlap == Overlap::kReplace && !run.empty())
    Tell(run, 0, run.size() - 1, decision.skipped);
  const std::size_t room = kQueuedMax + 1 - std::min(kQueuedMax + 1, unended);
  Tell(run, std::min(room, run.size()), run.size(), decision.missed);
  return decision;
}

}  // namespace onebox::schedule
