#include <gtest/gtest.h>

#include "base/testing.h"
#include "http/properties.h"

namespace onebox::http {
namespace {

TEST(FuzzedInputs, OfHeadsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("request_head_fuzz", properties::CheckRequestHead), 0);
}
TEST(FuzzedInputs, OfResponsesHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("response_head_fuzz", properties::CheckResponseHead), 0);
}
TEST(FuzzedInputs, OfChunkedBodiesHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("chunked_fuzz", properties::CheckChunked), 0);
}
TEST(FuzzedInputs, OfPathsHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("path_fuzz", properties::CheckPath), 0);
}
TEST(FuzzedInputs, OfNegotiationHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("negotiation_fuzz", properties::CheckNegotiation), 0);
}
TEST(FuzzedInputs, OfProxyHeadersHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("proxy_protocol_fuzz", properties::CheckProxyHeader), 0);
}

TEST(FuzzedInputs, OfReuseHoldTheirProperties) {
  EXPECT_GT(ReplayFuzzed("reuse_fuzz", properties::CheckReuse), 0);
}

}  // namespace
}  // namespace onebox::http
