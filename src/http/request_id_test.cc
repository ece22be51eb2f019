#include "http/request_id.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(RequestId, IsTakenOverIfShortAndVisible) {
  EXPECT_TRUE(IsAcceptableRequestId("a"));
  EXPECT_TRUE(IsAcceptableRequestId("1-67891233-abcdef012345678912345678"));
  EXPECT_TRUE(IsAcceptableRequestId(std::string(kRequestIdBytesMax, 'x')));
  EXPECT_FALSE(IsAcceptableRequestId(""));
  EXPECT_FALSE(IsAcceptableRequestId(std::string(kRequestIdBytesMax + 1, 'x')));
  for (const char* id : {"a b", "a\tb", "a\nb", "\xe9", "a\x7f"})
    EXPECT_FALSE(IsAcceptableRequestId(id));
}

}  // namespace
}  // namespace onebox::http
