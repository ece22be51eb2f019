#include "http/method.h"

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(Method, IsKnownByItsExactName) {
  const struct {
    std::string_view name;
    Method method;
    bool safe;
    bool idempotent;
  } rows[] = {
      {"GET", Method::kGet, true, true},
      {"HEAD", Method::kHead, true, true},
      {"OPTIONS", Method::kOptions, true, true},
      {"TRACE", Method::kTrace, true, true},
      {"PUT", Method::kPut, false, true},
      {"DELETE", Method::kDelete, false, true},
      {"POST", Method::kPost, false, false},
      {"PATCH", Method::kPatch, false, false},
      {"CONNECT", Method::kConnect, false, false},
      {"PROPFIND", Method::kOther, false, false},
      {"get", Method::kOther, false, false},
      {"", Method::kOther, false, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(MethodOf(row.name), row.method);
    EXPECT_EQ(IsSafe(row.method), row.safe);
    EXPECT_EQ(IsIdempotent(row.method), row.idempotent);
  }
}

}  // namespace
}  // namespace onebox::http
