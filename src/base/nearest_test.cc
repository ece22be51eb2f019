#include "base/nearest.h"

#include <array>
#include <string_view>

#include <gtest/gtest.h>

namespace onebox {
namespace {

TEST(NearestName, IsTheOneWithTheFewestChanges) {
  constexpr std::array<std::string_view, 6> kNames = {
      "workers", "threads", "request_time", "request_timeout", "s", "run"};
  struct Case {
    std::string_view why, wrong, nearest;
  };
  constexpr std::array kCases = {
      Case{"a letter is missing", "worker", "workers"},
      Case{"a letter too many", "threadss", "threads"},
      Case{"another letter", "thraads", "threads"},
      Case{"two letters changed places", "wrokers", "workers"},
      Case{"another case", "WORKERS", "workers"},
      Case{"another case of one letter", "S", "s"},
      Case{"two of three letters changed places", "rnu", "run"},
      Case{"the nearer of two", "request_tim", "request_time"},
      Case{"itself", "threads", "threads"},
      Case{"nothing is near", "listen", ""},
      Case{"one letter is not near another", "x", ""},
      Case{"nothing was said", "", ""},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(NearestName(c.wrong, kNames), c.nearest);
  }
}

}  // namespace
}  // namespace onebox
