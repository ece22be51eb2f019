#include "os/clock.h"

namespace onebox::os {

Time SystemClock::Now() const {
  return std::chrono::steady_clock::now();
}

WallTime SystemClock::WallNow() const {
  return std::chrono::system_clock::now();
}

}  // namespace onebox::os
