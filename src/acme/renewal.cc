#include "acme/renewal.h"

#include <algorithm>

namespace onebox::acme {
namespace {

// From nothing to `whole`.
Duration PartOf(Duration whole, std::uint64_t random) {
  return Duration(
      static_cast<Duration::rep>(random % static_cast<std::uint64_t>(whole.count() + 1)));
}

}  // namespace

WallTime RenewAt(const Facts& facts, WallTime now, std::uint64_t random) {
  const Duration lifetime = std::max<Duration>(facts.not_after - facts.not_before, Duration());
  const Duration left = std::max<Duration>(facts.not_after - now, Duration());
  return std::max(facts.not_before + lifetime / 3 * 2 - PartOf(lifetime / 30, random),
                  now + left / 3);
}

Duration PauseAfter(unsigned failures, Duration retry_after, std::uint64_t random) {
  Duration pause = kPauseMin;
  for (unsigned i = 1; i < failures && pause < kPauseMax; ++i)
    pause *= 2;
  pause = std::min(pause, kPauseMax);
  return std::max(pause - PartOf(pause / 4, random), retry_after);
}

}  // namespace onebox::acme
