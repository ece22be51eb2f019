#pragma once
// When a certificate is renewed, and how long to leave an authority alone that has refused.

#include <cstdint>

#include "acme/certificate.h"
#include "base/clock.h"

namespace onebox::acme {

inline constexpr Duration kPauseMin = std::chrono::minutes(1);
inline constexpr Duration kPauseMax = std::chrono::hours(24);

// At two thirds of its lifetime, or up to a thirtieth of that before, by chance: the names of a box, and the
// boxes of the world, do not come at once. Not before a third of what is left at `now` has passed, so that a
// clock which is wrong does not make us ask again and again. `random`: any number.
WallTime RenewAt(const Facts& facts, WallTime now, std::uint64_t random);

// From an attempt that failed to the next: doubled with each failure in a row, from kPauseMin to kPauseMax,
// of which by chance up to a quarter is left out; never less than the authority has asked for.
Duration PauseAfter(unsigned failures, Duration retry_after, std::uint64_t random);

}  // namespace onebox::acme
