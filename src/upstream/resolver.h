#pragma once
// Finds the addresses of servers that are known by name, now and again every minute.

#include <memory>
#include <vector>

#include "base/clock.h"
#include "telemetry/log.h"
#include "upstream/upstream.h"

namespace onebox::upstream {

inline constexpr Duration kResolveInterval = std::chrono::minutes(1);
inline constexpr Duration kResolveAgain = seconds(5);  // after a name that had no address

// In a thread of its own, since the system's resolver may take half a minute. Servers that are given by
// address or by path are set before the constructor returns. A name that cannot be looked up keeps the
// addresses that it had. The log and the upstreams outlive it.
class Resolver {
 public:
  Resolver(const std::vector<std::unique_ptr<Upstream>>& upstreams, telemetry::Log& log);
  // Does not wait for a look-up that is under way: its result goes nowhere.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Until each name was looked up once, for at most so long.
  void WaitForFirst(Duration timeout);

 private:
  struct State;
  static void Run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // null: there are no names
};

}  // namespace onebox::upstream
