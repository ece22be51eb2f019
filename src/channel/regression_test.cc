#include <gtest/gtest.h>

#include "base/testing.h"
#include "channel/properties.h"

namespace onebox::channel {
namespace {

TEST(FuzzedInputs, OfChannelsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("channel_fuzz", properties::CheckChannel), 0);
}

}  // namespace
}  // namespace onebox::channel
