#include "http2/flood_guard.h"

#include <algorithm>

namespace onebox::http2 {
namespace {

constexpr bool RowsAreInOrder() {
  for (std::size_t i = 0; i < kFloods; ++i) {
    if (static_cast<std::size_t>(kFloodLimits[i].flood) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder(), "a row of kFloodLimits stands where its kind says");

}  // namespace

// Whole seconds are exact enough: at worst a client has one second's worth less.
bool FloodGuard::Exceeds(Flood flood, Time now) {
  if (!has_begun_) {
    has_begun_ = true;
    began_ = now;
  }
  const FloodLimit& limit = LimitOf(flood);
  Bucket& bucket = buckets_[static_cast<std::size_t>(flood)];
  const auto second = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now - began_).count());
  const std::uint64_t drained = std::uint64_t{second - bucket.second} * limit.per_second;
  bucket.second = second;
  bucket.used -= static_cast<std::uint32_t>(std::min<std::uint64_t>(drained, bucket.used));
  return ++bucket.used > limit.burst;
}

void FloodGuard::Allow(Flood flood, std::uint32_t more) {
  Bucket& bucket = buckets_[static_cast<std::size_t>(flood)];
  bucket.used -= std::min(more, bucket.used);
}

}  // namespace onebox::http2
