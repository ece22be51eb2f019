#pragma once
// Whether what was read from Redis a while ago may still be used.

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace onebox::redis {

// Two words, zero at first, which may lie in memory that processes share: Tracking writes them, all others
// read. They make the first level right by this rule:
//
//   read Generation()  ->  ask Redis  ->  keep the value with the generation that was read
//   use it only while Holds(that generation, now)
//
// A value that was read while nobody tracked has a generation before that of the tracking that follows:
// each raises it when the server has confirmed it, and no sooner. So a value may always be kept, and is
// not used if it was not tracked from the moment it was read. Whoever tracks may die, hang or be
// stopped in any instruction: he extends `until` only when Redis has answered a ping, and the answer comes
// behind the invalidations of all that changed before the ping was sent. So what is used was in Redis
// less than Tracking::Options::trust_for ago, whatever has happened since. Several may track at once; each
// extends it by what he has seen himself, and all have been tracking since before the generation began.
//
// One key's invalidation may come while its value is on its way from Redis: that it is not kept after it is
// the first level's own business (a mark of the key that is read beside the generation, and
// changed when the key is forgotten).
struct Trust {
  std::uint64_t Generation() const { return generation.load(std::memory_order_acquire); }
  bool Holds(std::uint64_t read_in, Time now) const {
    // In this order: who sees that it was extended sees the generation for which it was.
    return now.time_since_epoch().count() < until.load(std::memory_order_acquire) &&
           generation.load(std::memory_order_acquire) == read_in;
  }

  // For Tracking.
  void Raise() { generation.fetch_add(1, std::memory_order_acq_rel); }
  void ExtendTo(Time end) {
    until.store(end.time_since_epoch().count(), std::memory_order_release);
  }
  void Withdraw() { until.store(0, std::memory_order_release); }

  std::atomic<std::uint64_t> generation = 0;
  std::atomic<std::int64_t> until = 0;  // ns of the steady clock, which processes share
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(Trust) == 16);

}  // namespace onebox::redis
