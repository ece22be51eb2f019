#pragma once
// What the limits refused or delayed: lines for the log now and then, and all of it for the metrics.

#include <string>
#include <vector>

#include "base/clock.h"
#include "limits/gate.h"

namespace onebox::front {

class LimitReport {
 public:
  static constexpr Duration kPause = std::chrono::seconds(10);  // from one time to the next

  // `gate` outlives it.
  LimitReport(const limits::Gate& gate, Time now);

  // Asked about once a second: a line for each limit that did something since the last time.
  std::vector<std::string> Take(Time now);

 private:
  const limits::Gate& gate_;
  std::vector<limits::Gate::Counts> told_;
  Time told_at_;
};

// onebox_rate_limits_total, by limit and outcome, as Prometheus reads it; nothing where there is no limit.
void AppendLimitMetrics(std::string& out, const limits::Gate& gate);

}  // namespace onebox::front
