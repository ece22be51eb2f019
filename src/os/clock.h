#pragma once
// The machine's clocks.

#include "base/clock.h"

namespace onebox::os {

class SystemClock final : public Clock {
 public:
  Time Now() const override;
  WallTime WallNow() const override;
};

}  // namespace onebox::os
