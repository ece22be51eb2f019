#include "front/host_table.h"

#include <gtest/gtest.h>

namespace onebox::front {
namespace {

HostTable Table() {
  HostTable table;
  EXPECT_TRUE(table.Add("game.example", 1));
  EXPECT_TRUE(table.Add("*.game.example", 2));
  EXPECT_TRUE(table.Add("*.eu.game.example", 3));
  EXPECT_TRUE(table.Add("[::1]", 4));
  EXPECT_TRUE(table.Add("127.0.0.1", 5));
  return table;
}

TEST(HostTable, FindsTheSiteOfAHost) {
  const struct {
    const char* host;
    std::optional<std::uint32_t> site;
  } rows[] = {
      {"game.example", 1},
      {"GAME.Example", 1},
      {"game.example:8000", 1},
      {"game.example.", 1},
      {"game.example.:80", 1},
      {"www.game.example", 2},
      {"a.b.c.game.example:1", 2},
      {"x.eu.game.example", 3},
      {"eu.game.example", 2},
      {"[::1]", 4},
      {"[::1]:8000", 4},
      {"127.0.0.1:80", 5},
      {"", {}},
      {".", {}},
      {"example", {}},
      {"xgame.example", {}},
      {"game.example.evil", {}},
      {"..game.example", 2},
      {"[::2]", {}},
      {"[", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.host);
    EXPECT_EQ(Table().Find(row.host), row.site);
  }
  EXPECT_EQ(Table().Find(std::string(300, 'a') + ".game.example"), std::nullopt);
}

TEST(HostTable, GivesAStarWhatNoOtherTakes) {
  HostTable table = Table();
  EXPECT_TRUE(table.Add("*", 9));
  EXPECT_EQ(table.Find("other.example"), 9U);
  EXPECT_EQ(table.Find(""), 9U);
  EXPECT_EQ(table.Find("game.example"), 1U);
  EXPECT_TRUE(HostTable().empty());
  EXPECT_EQ(HostTable().Find("game.example"), std::nullopt);
}

TEST(HostTable, TakesEachPatternOnce) {
  HostTable table = Table();
  EXPECT_FALSE(table.Add("game.example", 7));
  EXPECT_FALSE(table.Add("*.game.example", 7));
  EXPECT_TRUE(table.Add("*", 7));
  EXPECT_FALSE(table.Add("*", 8));
}

TEST(HostTable, KnowsWhatCanBeAHost) {
  const struct {
    const char* pattern;
    std::optional<std::string> normal;
  } rows[] = {
      {"Game.Example", "game.example"},
      {"game.example.", "game.example"},
      {"*.Game.example", "*.game.example"},
      {"*", "*"},
      {"localhost", "localhost"},
      {"[::1]", "[::1]"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"", {}},
      {".", {}},
      {"*.", {}},
      {"a.*.b", {}},
      {"*a.b", {}},
      {".a", {}},
      {"a..b", {}},
      {"a..", {}},
      {"a:80", {}},
      {"[::1]:80", {}},
      {"::1", {}},
      {"b\xc3\xbc"
       "cher.example",
       {}},
      {"a/b", {}},
      {"a b", {}},
      {"https://a", {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.pattern);
    EXPECT_EQ(HostTable::Normal(row.pattern), row.normal);
  }
}

}  // namespace
}  // namespace onebox::front
