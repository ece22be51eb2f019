#include "supervise/lines.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onebox::supervise {
namespace {

using testing::ElementsAre;

std::vector<std::string> Split(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> found;
  const auto take = [&found](std::string_view line) { found.emplace_back(line); };
  Lines lines;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    lines.Feed(bytes.substr(0, piece), take);
  }
  lines.Finish(take);
  return found;
}

TEST(Lines, AreTheSameInAnyPieces) {
  for (std::size_t piece = 1; piece <= 16; ++piece) {
    SCOPED_TRACE(piece);
    EXPECT_THAT(Split("one\ntwo\r\n\nlast", piece), ElementsAre("one", "two", "", "last"));
  }
}

TEST(Lines, AreCutWhereTheyAreTooLong) {
  const std::string text = std::string(Lines::kLineBytesMax, 'a') + "b\nc\n";
  EXPECT_THAT(Split(text, 1000), ElementsAre(std::string(Lines::kLineBytesMax, 'a'), "b", "c"));
}

TEST(Lines, KeepTheLastTwenty) {
  Lines lines;
  for (int i = 1; i <= 30; ++i) {
    lines.Feed(std::to_string(i) + "\n", [](std::string_view) {});
  }
  EXPECT_EQ(lines.last().size(), 20U);
  EXPECT_EQ(lines.last().front(), "11");
  EXPECT_EQ(lines.last().back(), "30");
}

}  // namespace
}  // namespace onebox::supervise
