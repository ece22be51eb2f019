#pragma once
// The clock interface: time enters through it, so that a test can move it.

#include <chrono>

namespace onebox {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;      // never jumps
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;  // may be set

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// Stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  Time Now() const override { return now_; }
  WallTime WallNow() const override { return wall_; }

  void Advance(Duration by) {
    now_ += by;
    wall_ += by;
  }
  void SetWall(WallTime wall) { wall_ = wall; }

 private:
  Time now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'700'000'000)};
};

}  // namespace onebox
