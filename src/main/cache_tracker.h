#pragma once
// CacheTracker: the front's thread that hears from Redis what other boxes have changed in the cache.

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/second_level.h"
#include "os/fd.h"
#include "redis/tracking.h"
#include "telemetry/log.h"

namespace onebox::main {

// One front of the box tracks: the one that came last, as soon as it is there; where it has died, another
// that still drains. Does nothing where the cache has no second level. Made after the last fork. Says in the
// log when Redis is lost and when it is back; tells Redis what it could not be told meanwhile. All that
// it is given outlives it.
class CacheTracker final {
 public:
  CacheTracker(cache::Cache& cache, telemetry::Log& log, const Clock& clock);
  ~CacheTracker();
  CacheTracker(const CacheTracker&) = delete;
  CacheTracker& operator=(const CacheTracker&) = delete;

 private:
  void Run();
  void Begin();
  // Whether we are the last that came, or become it.
  bool IsOurs();
  void TellState();
  void Settle();

  cache::Cache& cache_;
  const cache::SecondSettings settings_;
  telemetry::Log& log_;
  const Clock& clock_;
  cache::SecondLevel second_;
  std::uint64_t turn_ = 0;  // what newest_tracker is while we are it
  redis::State told_ = redis::State::kConnecting;
  std::optional<redis::Tracking> tracking_;
  std::atomic<bool> ending_ = false;
  os::Fd end_;
  std::thread thread_;
};

}  // namespace onebox::main
