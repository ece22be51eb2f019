#include "http/cache_status.h"

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

std::string Text(const CacheStatus& status) {
  std::string out;
  AppendCacheStatus(out, status);
  return out;
}

TEST(CacheStatus, SaysWhatHappened) {
  EXPECT_EQ(Text({.ttl = 37}), "Onebox; hit; ttl=37");
  EXPECT_EQ(Text({.ttl = -5, .detail = "app_failed"}), "Onebox; hit; ttl=-5; detail=app_failed");
  EXPECT_EQ(Text({.forwarded = Forwarded::kMiss, .forwarded_status = 200, .stored = true}),
            "Onebox; fwd=miss; fwd-status=200; stored");
  EXPECT_EQ(Text({.forwarded = Forwarded::kStale, .stored = true, .collapsed = true}),
            "Onebox; fwd=stale; stored; collapsed");
  EXPECT_EQ(Text({.forwarded = Forwarded::kBypass, .detail = "cookie"}),
            "Onebox; fwd=bypass; detail=cookie");
}

}  // namespace
}  // namespace onebox::http
