#include "eviction/real_cache.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "eviction/trace.h"

namespace onebox::eviction {
namespace {

// Does the cache that ships keep what its references keep? In points of a hundred.
constexpr double kBelowMax = 1.0;

void ExpectAsGood(const Trace& trace, std::uint64_t budget) {
  SCOPED_TRACE(trace.name);
  ASSERT_TRUE(IsRealBudget(budget));
  const double real = HitRate(trace, budget, NewRealCache);
  const double reference =
      std::max(HitRate(trace, budget, NewS3Fifo), HitRate(trace, budget, NewWTinyLfu));
  EXPECT_GE(100 * real, 100 * reference - kBelowMax);
  EXPECT_GT(100 * real, 100 * HitRate(trace, budget, NewLru)) << "or it were not worth it";
}

constexpr std::uint32_t kRequests = 100'000;

TEST(RealCache, KeepsWhatIsPopular) {
  for (const double alpha : {0.7, 1.0})
    ExpectAsGood(ZipfTrace(30'000, alpha, kRequests, Sizes::kEqual), 4'000);
  ExpectAsGood(ZipfTrace(10'000, 0.9, kRequests, Sizes::kMixed), 20'000);
}

TEST(RealCache, KeepsItThroughScans) {
  ExpectAsGood(ScanTrace(30'000, kRequests, 6'000, Sizes::kEqual), 4'000);
  ExpectAsGood(ScanTrace(10'000, kRequests, 2'000, Sizes::kMixed), 20'000);
}

TEST(RealCache, KeepsWhatTheGameAsksFor) {
  ExpectAsGood(GameTrace(20'000, kRequests), 4'000);
}

}  // namespace
}  // namespace onebox::eviction
