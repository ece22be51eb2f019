#include "http/cookie.h"

#include <string>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::http {
namespace {

TEST(Cookie, IsFoundByItsName) {
  const struct {
    std::string fields;
    std::optional<std::string_view> value;
  } rows[] = {
      {"Cookie: session=abc\r\n", "abc"},
      {"Cookie: a=1; session=abc; b=2\r\n", "abc"},
      {"Cookie: a=1;session=abc\r\n", "abc"},
      {"Cookie: a=1\r\nCookie: session=abc\r\n", "abc"},
      {"Cookie: session=abc; session=def\r\n", "abc"},
      {"Cookie: session=\r\n", ""},
      {"Cookie: session=a=b\r\n", "a=b"},
      {"Cookie: session=\"a b\"\r\n", "\"a b\""},
      {"Cookie: ;; session=abc;\r\n", "abc"},
      {"", std::nullopt},
      {"Cookie: a=1\r\n", std::nullopt},
      {"Cookie: Session=abc\r\n", std::nullopt},
      {"Cookie: my_session=abc\r\n", std::nullopt},
      {"Cookie: sessions=abc\r\n", std::nullopt},
      {"Cookie: session\r\n", std::nullopt},
      {"Cookie: a=session=abc\r\n", std::nullopt},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.fields);
    const ParsedHead head(HeadWith(row.fields));
    ASSERT_FALSE(head.refused());
    EXPECT_EQ(FindCookie(*head, "session"), row.value);
  }
}

}  // namespace
}  // namespace onebox::http
