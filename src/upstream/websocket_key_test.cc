#include "upstream/websocket_key.h"

#include <gtest/gtest.h>

namespace onebox::upstream {
namespace {

TEST(WebSocketKey, IsAcceptedAsRfc6455Says) {
  EXPECT_EQ(WebSocketAcceptFor("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketKey, IsAnotherEachTime) {
  const std::string key = NewWebSocketKey();
  EXPECT_EQ(key.size(), 24U);
  EXPECT_TRUE(key.ends_with("=="));
  EXPECT_NE(key, NewWebSocketKey());
}

}  // namespace
}  // namespace onebox::upstream
