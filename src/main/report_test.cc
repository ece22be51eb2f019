#include "main/report.h"

#include <limits>

#include <gtest/gtest.h>

namespace onebox::main {
namespace {

TEST(Table, IsAsWideAsWhatIsInIt) {
  Table table{{"queue"}, {"tasks", Align::kRight}, {"", Align::kLeft}};
  table.Add({"mail", "1", ""});
  table.Add({"größer", "1234567", "paused"});
  EXPECT_EQ(table.text(),
            "  queue     tasks\n"
            "  mail          1\n"
            "  größer  1234567  paused\n");
}

TEST(ShowSpan, HasNoMoreThanTwoUnits) {
  struct Case {
    double seconds;
    const char* shown;
  };
  for (const Case& one : {Case{-5, "0ms"},
                          Case{0.0004, "0ms"},
                          Case{0.34, "340ms"},
                          Case{1.25, "1.2s"},
                          Case{59.6, "1m"},
                          Case{250, "4m 10s"},
                          Case{3600 * 3 + 301, "3h 5m"},
                          Case{86'400 * 2 + 3600 * 4 + 59, "2d 4h"},
                          Case{86'400, "1d"},
                          Case{std::numeric_limits<double>::infinity(), "-"}}) {
    EXPECT_EQ(ShowSpan(one.seconds), one.shown) << one.seconds;
  }
  EXPECT_EQ(ShowSpan(nlohmann::json()), "-");
  EXPECT_EQ(ShowSpan(nlohmann::json(), 7.0), "-");
  EXPECT_EQ(ShowSpan(nlohmann::json(5.0), 35.0), "30s");
}

TEST(ShowTime, IsOfACalendar) {
  EXPECT_EQ(ShowTime(1'795'000'000.9).substr(0, 8), "2026-11-");
  EXPECT_EQ(ShowTime("soon"), "-");
  EXPECT_EQ(ShowTime(1e300), "-");
}

TEST(ShowText, LetsNoAppWriteToTheTerminal) {
  EXPECT_EQ(ShowText("app:\x1b[2Jsend"), "app:\\x1B[2Jsend");
  EXPECT_EQ(ShowText(5), "");
  EXPECT_EQ(ShowLastLine("Traceback:\n  File\nValueError: no\n \n"), "ValueError: no");
  EXPECT_EQ(ShowLastLine(""), "");
  EXPECT_EQ(ShowLines("one\n\ntwo\x07", "  "), "  one\n  \n  two\\x07\n");
}

}  // namespace
}  // namespace onebox::main
