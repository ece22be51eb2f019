#pragma once
// How many app workers help: more while requests wait and there is CPU for them, fewer while they idle;
// and as many as the hour of the day asks for.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace onebox::supervise {

struct ScalingLimits {
  unsigned min = 1;
  unsigned max = 1;

  bool fixed() const { return min == max; }
  bool operator==(const ScalingLimits&) const = default;
};

// What one second was like.
struct Load {
  std::uint64_t waiting = 0;   // requests, at this moment
  std::uint64_t busy = 0;      // threads, at this moment
  std::uint64_t threads = 0;   // of one worker
  std::uint64_t requests = 0;  // that have ended since the start
  double cpu_idle = 0;         // of all cores, 0 to 1
  bool settled = true;         // as many workers serve as are wanted
  bool memory_allows = true;   // one more
  unsigned by_clock = 0;       // workers that the hour asks for, whatever the load is
  std::string_view clock_reason = {};
};

// One step at a time, and each is judged before the next: a worker that did not help goes again, and
// there is no other for kNoHelpPause. So the number comes to rest.
class Scaling {
 public:
  static constexpr int kWaitsMin = 3;         // seconds in a row in which requests waited
  static constexpr double kCpuIdleMin = 0.2;  // more workers need some CPU
  static constexpr double kHelpMin = 1.05;    // times the requests before: then it has helped
  static constexpr Duration kJudgeTime = std::chrono::seconds(10);
  static constexpr Duration kNoHelpPause = std::chrono::minutes(10);
  static constexpr Duration kIdleTime = std::chrono::minutes(5);

  Scaling(const ScalingLimits& limits, unsigned begin, std::string reason)
      : limits_(limits), wanted_(begin), reason_(std::move(reason)) {}

  // Once a second.
  void Take(const Load& load, Time now);

  unsigned wanted() const { return wanted_; }
  // One sentence, without a full stop: why it is this number.
  const std::string& reason() const { return reason_; }

 private:
  bool FollowClock(const Load& load, Time now);
  void Judge(const Load& load, Time now);
  void Grow(const Load& load, Time now);
  void Change(unsigned to, Time now, std::string reason);
  void Measure(const Load& load, Time now);

  const ScalingLimits limits_;
  unsigned wanted_;
  std::string reason_;
  int waits_ = 0;    // seconds in a row
  Time taken_at_{};  // the load before
  std::uint64_t requests_then_ = 0;
  double rate_ = 0;         // requests a second, over the last few
  Time changed_at_{};       // and has settled
  bool on_trial_ = false;   // the last step was one more, and has not been judged
  double rate_before_ = 0;  // requests a second, before it
  Time pause_until_{};      // no growth before
  Time busy_at_{};          // when so many were needed last
};

}  // namespace onebox::supervise
