#include "http/list.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(List, GivesItsElementsFromBothEnds) {
  const struct {
    std::string_view list;
    std::vector<std::string> elements;
  } rows[] = {
      {"", {}},
      {" , ,\t,", {}},
      {"a", {"a"}},
      {" a ,b\t, c d ", {"a", "b", "c d"}},
      {",a,,b,", {"a", "b"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.list);
    std::vector<std::string> taken;
    std::string_view list = row.list;
    while (const auto element = TakeElement(list))
      taken.emplace_back(*element);
    EXPECT_EQ(taken, row.elements);
    taken.clear();
    list = row.list;
    while (const auto element = TakeLastElement(list))
      taken.emplace_back(*element);
    std::reverse(taken.begin(), taken.end());
    EXPECT_EQ(taken, row.elements);
  }
}

}  // namespace
}  // namespace onebox::http
