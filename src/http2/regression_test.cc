#include <gtest/gtest.h>

#include "base/testing.h"
#include "http2/properties.h"

namespace onebox::http2 {
namespace {

TEST(FuzzedInputs, OfSessionsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("http2_fuzz", properties::CheckSession), 0);
}

}  // namespace
}  // namespace onebox::http2
