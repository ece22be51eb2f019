#pragma once
// The clock on the wall of a place: which instants show which wall times.

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace date {
class time_zone;
}

namespace onebox::schedule {

using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::seconds;
using std::chrono::sys_seconds;

// Offsets from UTC were never further out (Manila was 15:56 behind until 1844), so two of one place
// are never further apart than twice this.
constexpr std::chrono::hours kOffsetMax(16);

// A time in which a place keeps one offset: the instants from `begin` to before `end`.
struct Stretch {
  sys_seconds begin, end;
  seconds offset;

  local_seconds Shown(sys_seconds instant) const {
    return local_seconds(instant.time_since_epoch() + offset);
  }
  sys_seconds InstantOf(local_seconds wall) const {
    return sys_seconds(wall.time_since_epoch() - offset);
  }
};

// A place of the time zone database. A value: the database stays as long as the process.
//
// Of years after 2037 the database knows no daylight saving time as Debian packs it (the library
// reads the list of changes, and not the rule that goes on after it).
class Zone {
 public:
  // "Europe/Berlin"; empty is this machine's, by /etc/localtime: TZ is not asked. An Error names the
  // nearest that there is.
  static Result<Zone> Find(std::string_view name);

  const std::string& name() const;
  Stretch At(sys_seconds instant) const;
  // The wall time that clocks had got to when this stretch began: nothing from there on had ever
  // been shown. Less than what it begins with where some was skipped; more where some comes twice.
  local_seconds ReachedBefore(const Stretch& stretch) const;

  bool operator==(const Zone&) const = default;

 private:
  explicit Zone(const date::time_zone* zone) : zone_(zone) {}
  const date::time_zone* zone_;
};

}  // namespace onebox::schedule
