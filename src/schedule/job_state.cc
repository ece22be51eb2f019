#include "schedule/job_state.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "schedule/overlap.h"
#include "schedule/wording.h"

namespace onebox::schedule {

std::shared_ptr<const Definition> Definition::Of(JobSpec spec) {
  auto definition = std::make_shared<Definition>();
  auto trigger = Trigger::Parse(spec.kind, spec.text, spec.zone);
  if (trigger.ok()) {
    definition->trigger.emplace(std::move(trigger).value());
  } else {
    definition->error = std::move(trigger).error().message;
  }
  definition->spec = std::move(spec);
  return definition;
}

std::optional<std::string> WhyNot(const JobSpec& spec) {
  const auto control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
  if (spec.name.empty() || spec.name.size() > kJobNameBytesMax) {
    return fmt::format(
        "a job's name has 1 to {} bytes, and this one {}", kJobNameBytesMax, spec.name.size());
  }
  if (std::any_of(spec.name.begin(), spec.name.end(), control))
    return fmt::format("a job's name has no control characters, and {} has", Quoted(spec.name));
  if (spec.what.empty() || spec.what.size() > kWhatBytesMax)
    return fmt::format("what it is to do has 1 to {} bytes", kWhatBytesMax);
  if (spec.jitter < Duration(0) || spec.jitter > kDay) return "its jitter is from 0 to a day";
  if (spec.timeout < Duration(0)) return "its timeout is negative";
  if (spec.catch_up.late < Duration(0)) return "the time after which it is late is negative";
  if (spec.catch_up.all_max < 1 || spec.catch_up.all_max > kQueuedMax)
    return fmt::format("of firings that were missed 1 to {} can be made up for", kQueuedMax);
  return std::nullopt;
}

void JobState::Aim() {
  next.reset();
  if (!definition->trigger) return;
  const Trigger& trigger = *definition->trigger;
  if (const auto firing = NextAfter(trigger, handled)) next = BeginOf(trigger, spec(), *firing);
}

Pending* JobState::Startable() {
  const bool parallel = spec().overlap == Overlap::kParallel;
  const bool waits = spec().overlap == Overlap::kSkip || spec().overlap == Overlap::kQueue;
  if (waits && !unended.empty()) return nullptr;
  Pending* first = nullptr;
  for (Pending& one : pending) {
    if (one.taken && !parallel) return nullptr;
    if (first == nullptr && !one.taken) first = &one;
  }
  return first;
}

Pending* JobState::FindPending(std::int64_t fence) {
  const auto found = std::find_if(
      pending.begin(), pending.end(), [&](const Pending& one) { return one.fence == fence; });
  return found == pending.end() ? nullptr : &*found;
}

std::optional<WallTime> JobState::WakeAt() {
  std::optional<WallTime> wake;
  if (fires()) wake = next;
  if (Startable() != nullptr && (!wake || retry_at < *wake)) wake = retry_at;
  return wake;
}

}  // namespace onebox::schedule
