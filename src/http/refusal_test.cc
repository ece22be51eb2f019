#include "http/refusal.h"

#include <set>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(Refusals, HaveAnErrorStatusAndANameOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Refusal& refusal : kRefusals) {
    SCOPED_TRACE(refusal.name);
    EXPECT_GE(refusal.status, 400);
    EXPECT_LT(refusal.status, 600);
    EXPECT_FALSE(refusal.reason.empty());
    EXPECT_TRUE(names.insert(refusal.name).second);
    EXPECT_EQ(RefusalOf(refusal.kind).name, refusal.name);
  }
}

}  // namespace
}  // namespace onebox::http
