#include <gtest/gtest.h>

#include "acme/properties.h"
#include "base/testing.h"

namespace onebox::acme {
namespace {

TEST(Fuzzed, HoldsWhereverAConversationIsCut) {
  EXPECT_GT(ReplayFuzzed("acme_fuzz", properties::CheckConversation), 0);
}

}  // namespace
}  // namespace onebox::acme
