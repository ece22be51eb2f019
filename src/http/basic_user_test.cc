#include "http/basic_user.h"

#include <string_view>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(BasicUser, IsWhatStandsBeforeTheColon) {
  struct Case {
    std::string_view field;
    std::string_view user;
    const char* why;
  };
  constexpr Case kCases[] = {
      {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "RFC 7617's example"},
      {"bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "any case, any spaces"},
      {"Basic YTpi", "a", "no padding"},
      {"Basic YTo=", "a", "an empty password"},
      {"Basic YTpiOmM=", "a", "a colon in the password"},
      {"Basic OmI=", "", "an empty user"},
      {"Basic YWI=", "", "no colon: it may be a password"},
      {"Basic YW!iOmM=", "", "not base64"},
      {"Basic =YTpi", "", "padding at the beginning"},
      {"Basic", "", "nothing but the scheme"},
      {"Basic ", "", "nothing behind the scheme"},
      {"BasicYTpi", "", "no space"},
      {"Bearer YTpi", "", "another scheme"},
      {"", "", "no field"},
      {"Basic YQoiYjpj", "a\n\"b", "what the log has to escape"},
      {"Basic w7w6eA==", "\xC3\xBC", "bytes as they are"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(BasicUser(c.field), c.user);
  }
}

TEST(BasicUser, ShowsNothingOfAPassword) {
  constexpr std::string_view kField = "Basic dXNlcjpTRUNSRVQ=";  // user:SECRET
  for (std::size_t size = 0; size <= kField.size(); ++size) {
    const auto user = BasicUser(kField.substr(0, size));
    EXPECT_TRUE(user.empty() || user == "user") << user;
  }
}

}  // namespace
}  // namespace onebox::http
