#pragma once
// A point in time as the fields of a calendar.

#include <chrono>
#include <ctime>

#include "base/clock.h"

namespace onebox::telemetry {

inline std::time_t UnixSeconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// 0 to 999.
inline int MillisecondOf(WallTime time) {
  const auto within = time - std::chrono::floor<std::chrono::seconds>(time);
  return static_cast<int>(std::chrono::floor<std::chrono::milliseconds>(within).count());
}

inline std::tm UtcFields(std::time_t seconds) {
  std::tm fields{};
  ::gmtime_r(&seconds, &fields);
  return fields;
}

// In the machine's time zone (TZ, /etc/localtime).
inline std::tm LocalFields(std::time_t seconds) {
  std::tm fields{};
  ::localtime_r(&seconds, &fields);
  return fields;
}

}  // namespace onebox::telemetry
