#include "supervise/backoff.h"

#include <algorithm>

namespace onebox::supervise {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFirst = milliseconds(100);
constexpr Duration kLongest = seconds(10);
constexpr Duration kGoodLife = seconds(30);

}  // namespace

Duration Backoff::Died() {
  if (clock_.Now() - started_ >= kGoodLife) deaths_in_a_row_ = 0;
  next_ = deaths_in_a_row_ == 0 ? kFirst : std::min(next_ * 2, kLongest);
  ++deaths_in_a_row_;
  return next_;
}

}  // namespace onebox::supervise
