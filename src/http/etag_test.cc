#include "http/etag.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(EntityTag, IsReadAndWritten) {
  for (const std::string text :
       {"\"\"", "\"abc\"", "W/\"abc\"", "\"a,b\"", "\"W/\"", "\"\\\"", "\"\xe9\""}) {
    SCOPED_TRACE(text);
    const auto tag = ParseEntityTag(text);
    ASSERT_TRUE(tag);
    std::string written;
    AppendEntityTag(written, *tag);
    EXPECT_EQ(written, text);
  }
}

TEST(EntityTag, IsRefusedIfNotWhole) {
  for (const char* text : {"",
                           "abc",
                           "\"abc",
                           "abc\"",
                           "\"",
                           "w/\"abc\"",
                           "W/abc",
                           "W/",
                           "W \"abc\"",
                           "\"a\"b",
                           "\"a\" ",
                           " \"a\"",
                           "\"a\"\"",
                           "\"a b\"",
                           "\"a\tb\"",
                           "'abc'",
                           "*"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseEntityTag(text));
  }
}

TEST(EntityTag, ComparesAsTheTableOfRfc9110Does) {
  const EntityTag weak_1{"1", true};
  const EntityTag weak_2{"2", true};
  const EntityTag strong_1{"1", false};
  EXPECT_FALSE(Matches(weak_1, weak_1, Comparison::kStrong));
  EXPECT_TRUE(Matches(weak_1, weak_1, Comparison::kWeak));
  EXPECT_FALSE(Matches(weak_1, weak_2, Comparison::kStrong));
  EXPECT_FALSE(Matches(weak_1, weak_2, Comparison::kWeak));
  EXPECT_FALSE(Matches(weak_1, strong_1, Comparison::kStrong));
  EXPECT_TRUE(Matches(weak_1, strong_1, Comparison::kWeak));
  EXPECT_TRUE(Matches(strong_1, strong_1, Comparison::kStrong));
  EXPECT_TRUE(Matches(strong_1, strong_1, Comparison::kWeak));
}

TEST(EntityTagList, GivesEachTagAndLeavesWhatIsNone) {
  const struct {
    std::string_view list;
    std::vector<std::string> tags;
    bool valid;
  } rows[] = {
      {"", {}, true},
      {" , ,", {}, true},
      {"\"a\"", {"\"a\""}, true},
      {"\"a\", W/\"b\"\t,\"c,d\"", {"\"a\"", "W/\"b\"", "\"c,d\""}, true},
      {",\"a\",,\"b\",", {"\"a\"", "\"b\""}, true},
      {"\"a\" \"b\"", {}, false},
      {"\"a\", b", {"\"a\""}, false},
      {"\"a\", \"b", {"\"a\""}, false},
      {"*", {}, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.list);
    std::string_view list = row.list;
    std::vector<std::string> tags;
    while (const auto tag = TakeEntityTag(list))
      AppendEntityTag(tags.emplace_back(), *tag);
    EXPECT_EQ(tags, row.tags);
    EXPECT_EQ(list.empty(), row.valid);
  }
}

}  // namespace
}  // namespace onebox::http
