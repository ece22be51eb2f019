#include "front/log_privacy.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

std::string NetworkText(std::string_view address) {
  return http::FormatAddress(NetworkOf(http::ParseAddress(address).value()));
}

TEST(LogPrivacy, TellsTheNetworkOfAClient) {
  EXPECT_EQ(NetworkText("192.0.2.77"), "192.0.2.0");
  EXPECT_EQ(NetworkText("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
  EXPECT_EQ(NetworkText("::1"), "::");
  EXPECT_EQ(NetworkText("::ffff:192.0.2.77"), "192.0.2.0");
}

TEST(LogPrivacy, TellsOfFieldsWhatIsLeft) {
  const LogPrivacy nothing;
  const LogPrivacy all{.query = true, .cookies = true, .address = true};
  const struct {
    std::string_view name, value, told;
  } rows[] = {
      {"Cookie", "session=1", ""},
      {"set-cookie", "session=1", ""},
      {"AUTHORIZATION", "Basic YTpi", ""},
      {"Referer", "https://a/b?token=1", "https://a/b"},
      {"location", "/b?token=1", "/b"},
      {"X-Forwarded-For", "192.0.2.77", ""},
      {"User-Agent", "what?", "what?"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(TellableValue(all, row.name, row.value), row.told);
    EXPECT_EQ(TellableValue(nothing, row.name, row.value), row.value);
  }
  EXPECT_EQ(WithoutQuery("/a?b?c"), "/a");
  EXPECT_EQ(WithoutQuery("/a"), "/a");
}

}  // namespace
}  // namespace onebox::front
