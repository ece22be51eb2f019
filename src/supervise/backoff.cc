#include "supervise/backoff.h"

#include <algorithm>

namespace onebox::supervise {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFirst = milliseconds(100);
constexpr Duration kLongest = seconds(10);
constexpr Duration kShortLife = seconds(1);
constexpr Duration kGoodLife = seconds(30);
constexpr int kChances = 2;  // in a row, each after more than a short life

}  // namespace

Duration Backoff::Died() {
  const Duration lived = clock_.Now() - started_;
  if (lived >= kGoodLife) {
    deaths_in_a_row_ = 0;
    next_ = Duration();
  }
  ++deaths_in_a_row_;
  const bool by_chance = deaths_in_a_row_ <= kChances && lived >= kShortLife;
  next_ = by_chance ? Duration() : std::clamp(next_ * 2, kFirst, kLongest);
  return next_;
}

}  // namespace onebox::supervise
