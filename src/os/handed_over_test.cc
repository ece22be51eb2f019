#include "os/handed_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::os {
namespace {

using Names = std::vector<std::string>;

TEST(ParseHandedOver, KnowsHowManyAndTheirNames) {
  struct Case {
    const char* pid;
    const char* count;
    const char* names;  // nullptr: not set
    Names expected;
    const char* why;
  };
  const Case cases[] = {
      {"12", "1", nullptr, {""}, "no names"},
      {"12", "2", "web:admin", {"web", "admin"}, "a name each"},
      {"12", "3", "web", {"web", "", ""}, "names are missing"},
      {"12", "3", "a::c", {"a", "", "c"}, "an empty one"},
      {"12", "0", nullptr, {}, "none"},
      {"13", "2", "web:admin", {}, "another process's"},
      {"", "2", nullptr, {}, "nobody's"},
      {"13", "nonsense", nullptr, {}, "another process's nonsense"},
      {"12", "64", nullptr, Names(64), "as many as may be"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    Variables environment = {{"LISTEN_PID", c.pid}, {"LISTEN_FDS", c.count}};
    if (c.names != nullptr) environment["LISTEN_FDNAMES"] = c.names;
    const auto parsed = ParseHandedOver(environment, 12);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed.value(), c.expected);
  }
}

TEST(ParseHandedOver, RefusesWhatCannotBe) {
  struct Case {
    const char* count;
    const char* names;
    const char* why;
  };
  const Case cases[] = {
      {"", "", "no number"},
      {"-1", "", "negative"},
      {"65", "", "too many"},
      {"99999999999999999999", "", "far too many"},
      {"1", "a:b", "more names than sockets"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_FALSE(
        ParseHandedOver(
            {{"LISTEN_PID", "12"}, {"LISTEN_FDS", c.count}, {"LISTEN_FDNAMES", c.names}}, 12)
            .ok());
  }
  EXPECT_FALSE(ParseHandedOver({{"LISTEN_PID", "12"}}, 12).ok()) << "no LISTEN_FDS";
}

TEST(FindHandedOver, HasNoneWhereThereAreNone) {
  const auto found = FindHandedOver({{"LISTEN_FDS", "1"}, {"LISTEN_PID", "1"}}, 12);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found.value().empty());
}

}  // namespace
}  // namespace onebox::os
