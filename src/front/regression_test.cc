#include <gtest/gtest.h>

#include "base/testing.h"
#include "front/properties.h"

namespace onebox::front {
namespace {

TEST(FuzzedInputs, OfRoutingHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("routing_fuzz", properties::CheckRouting), 0);
}

}  // namespace
}  // namespace onebox::front
