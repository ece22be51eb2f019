#include <gtest/gtest.h>

#include "base/testing.h"
#include "redis/properties.h"

namespace onebox::redis {
namespace {

TEST(RedisRegression, WhatFuzzingTriedHolds) {
  EXPECT_GE(ReplayFuzzed("redis_fuzz", properties::CheckRedis), 4);
}

}  // namespace
}  // namespace onebox::redis
