#pragma once
// Tracking: hears from Redis which keys have changed.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "os/fd.h"
#include "redis/address.h"
#include "redis/connection.h"
#include "redis/health.h"
#include "redis/trust.h"

namespace onebox::redis {

// Server-assisted client-side caching in its broadcasting mode: one connection of its own, which redirects
// the invalidations of all keys with a prefix to itself (docs/decisions/0021-how-the-first-level-stays-right.md). Whoever
// changed a key, in whatever database, it is told, also that it expired or was evicted; not who did, so
// the first level's own writes are among them. It needs Redis 6 or later.
//
// It has a thread, so it is made after the last fork, and its end waits for what that thread is at: at most
// `timeout`, or a resolver that does not answer. Clock and trust outlive it.
class Tracking final {
 public:
  struct Options {
    Address address;
    std::string prefix;  // of the keys that the first level keeps; empty: of all keys
    Connection::Options connection = {.name = "onebox-tracking"};
    Duration ping_interval = std::chrono::milliseconds(500);
    Duration timeout = std::chrono::seconds(1);  // for connecting, and for the answer to a ping
    // How old what the first level gives may be. REQUIRES: more than interval and timeout together.
    Duration trust_for = std::chrono::seconds(2);
    Backoff::Options pause = {};
    // From the thread of Tracking, which hears nothing more before they return. `forget`: as the key is
    // in Redis, with the prefix. `forget_all`: the generation has been raised; what was kept is of no
    // use any more, and its memory may be given back.
    std::function<void(std::string_view key)> forget;
    std::function<void()> forget_all;
  };

  Tracking(Options options, Trust& trust, const Clock& clock);
  ~Tracking();
  Tracking(const Tracking&) = delete;
  Tracking& operator=(const Tracking&) = delete;

  struct Counters {
    std::uint64_t established = 0;
    std::uint64_t losses = 0;         // of what was established
    std::uint64_t answers = 0;        // to pings: what changed before is known
    std::uint64_t invalidations = 0;  // keys
    std::uint64_t flushes = 0;        // of all keys at once
  };
  struct Look {
    State state = State::kConnecting;
    std::string last_error;  // empty: there was none
    Counters counters;
  };
  Look look() const;  // from any thread

 private:
  void Run();
  // Follows one connection until it is lost, or the end: no Error.
  Status Track();
  Result<Connection> Establish(Time& asked);
  Status Follow(Connection& connection, Time asked);
  Error Unanswered() const;
  Status Take(const Reply& reply, std::optional<Time>& ping);
  void Note(const std::function<void(Look&)>& change);

  const Options options_;
  Trust& trust_;
  const Clock& clock_;
  std::atomic<bool> ending_ = false;
  os::Fd end_;  // wakes the thread

  mutable std::mutex mutex_;
  Look look_;  // under mutex_

  std::thread thread_;
};

}  // namespace onebox::redis
