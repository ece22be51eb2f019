#include "limits/rate_limit.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/check.h"

namespace onebox::limits {
namespace {

constexpr std::size_t kKeysPerSet = 8;

std::size_t SetsFor(std::uint32_t keys) {
  return std::bit_ceil(std::max<std::size_t>(keys, kKeysPerSet) / kKeysPerSet);
}

// 0 stands for a free entry.
std::uint64_t Shown(std::uint64_t key) {
  return key == 0 ? 1 : key;
}

}  // namespace

RateLimit::RateLimit(const RateRule& rule)
    : rule_(rule), set_count_(SetsFor(rule.keys_max)), sets_(std::make_unique<Set[]>(set_count_)) {
  CHECK(rule.burst > 0 && rule.interval <= kWindowMax / rule.burst);
}

// The key's entry, or the one that is to remember it from now on.
RateLimit::Entry& RateLimit::Take(Set& set, std::uint64_t key, std::int64_t now, bool& evicted) {
  Entry* least = nullptr;
  for (Entry& entry : set.entries) {
    if (entry.key == key) return entry;
    if (least == nullptr ||
        std::tuple(entry.running > 0, entry.tat) < std::tuple(least->running > 0, least->tat)) {
      least = &entry;
    }
  }
  evicted = !least->Forgettable(now);
  *least = {.key = key, .tat = now};
  return *least;
}

bool RateLimit::EnterDelay() {
  if (delayed_.fetch_add(1, std::memory_order_relaxed) < rule_.delayed_max) return true;
  EndDelay();
  return false;
}

Verdict RateLimit::Ask(std::uint64_t key, Time now) {
  key = Shown(key);
  const std::int64_t at = now.time_since_epoch().count();
  const std::lock_guard lock(MutexOf(key));
  Verdict verdict;
  Entry& entry = Take(SetOf(key), key, at, verdict.evicted);
  if (counts_running() && entry.running >= rule_.at_once) {
    verdict.kind = Verdict::Kind::kAtOnce;
    return verdict;
  }
  const std::int64_t tat = std::max(entry.tat, at);
  const std::int64_t interval = rule_.interval.count();
  verdict.wait = Duration(std::max<std::int64_t>(tat - at - (rule_.burst - 1) * interval, 0));
  if (verdict.wait > Duration(0)) {
    const bool waits = verdict.wait <= rule_.delay_max && EnterDelay();
    verdict.kind = waits ? Verdict::Kind::kDelay : Verdict::Kind::kRate;
    if (!waits) return verdict;
  }
  entry.tat = tat + interval;
  if (counts_running()) ++entry.running;
  return verdict;
}

// Nothing is there where the key was forgotten meanwhile.
void RateLimit::Leave(std::uint64_t key) {
  key = Shown(key);
  const std::lock_guard lock(MutexOf(key));
  for (Entry& entry : SetOf(key).entries) {
    if (entry.key == key && entry.running > 0) --entry.running;
  }
}

}  // namespace onebox::limits
