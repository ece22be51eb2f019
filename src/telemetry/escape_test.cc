#include "telemetry/escape.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace onebox::telemetry {
namespace {

TEST(Escape, MakesEachTextHarmlessInItsPlace) {
  struct Case {
    std::string_view text, printable, quotable, json;
  };
  constexpr std::array kCases = {
      Case{"", "", "", ""},
      Case{"plain text", "plain text", "plain text", "plain text"},
      Case{"\"\\", "\"\\", "\\x22\\x5C", "\\\"\\\\"},
      Case{"a\r\n\tb", "a\\x0D\\x0A\\x09b", "a\\x0D\\x0A\\x09b", "a\\u000D\\n\\tb"},
      Case{"\x1b[31m\x7f", "\\x1B[31m\\x7F", "\\x1B[31m\\x7F", "\\u001B[31m\\u007F"},
      Case{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
           "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
           "\\xC3\\xA9\\xE2\\x82\\xAC\\xF0\\x9F\\x98\\x80",
           "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
      Case{"\xc2\x9b", "\\xC2\\x9B", "\\xC2\\x9B", "\\u00C2\\u009B"},
      Case{"\xff", "\\xFF", "\\xFF", "\\u00FF"},
      Case{"\xc3", "\\xC3", "\\xC3", "\\u00C3"},
      Case{"\xc3(", "\\xC3(", "\\xC3(", "\\u00C3("},
      Case{"\xc0\xaf", "\\xC0\\xAF", "\\xC0\\xAF", "\\u00C0\\u00AF"},
      Case{"\xed\xa0\x80", "\\xED\\xA0\\x80", "\\xED\\xA0\\x80", "\\u00ED\\u00A0\\u0080"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.printable);
    std::string printable = "<";
    std::string quotable = "<";
    std::string json = "<";
    AppendPrintable(printable, c.text);
    AppendQuotable(quotable, c.text);
    AppendJson(json, c.text);
    EXPECT_EQ(printable, "<" + std::string(c.printable));
    EXPECT_EQ(quotable, "<" + std::string(c.quotable));
    EXPECT_EQ(json, "<" + std::string(c.json));
  }
}

TEST(Escape, FindsEachByteThatNeedsItAtEachPlace) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<char>(byte);
    const bool plain = byte >= 0x20 && byte <= 0x7E && c != '"' && c != '\\';
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text(20, '~');
      text[at] = c;
      std::string out;
      AppendQuotable(out, text);
      EXPECT_EQ(out == text, plain) << byte << " at " << at;
    }
  }
}

TEST(PrintableLength, KnowsEachLengthAndItsBounds) {
  struct Case {
    std::string_view text;
    std::size_t length;
  };
  constexpr std::array kCases = {
      Case{"", 0},
      Case{" ", 1},
      Case{"~", 1},
      Case{"\x7f", 0},
      Case{"\x1f", 0},
      Case{"\xc2\xa0", 2},
      Case{"\xc1\xbf", 0},
      Case{"\xdf\xbf", 2},
      Case{"\xe0\xa0\x80", 3},
      Case{"\xe0\x9f\x80", 0},
      Case{"\xed\x9f\xbf", 3},
      Case{"\xef\xbf\xbf", 3},
      Case{"\xf0\x90\x80\x80", 4},
      Case{"\xf0\x8f\x80\x80", 0},
      Case{"\xf4\x8f\xbf\xbf", 4},
      Case{"\xf4\x90\x80\x80", 0},
      Case{"\xf5\x80\x80\x80", 0},
      Case{"\xf0\x90\x80", 0},
      Case{"\xe2\x82\x28", 0},
  };
  for (const Case& c : kCases) {
    std::string shown;
    AppendQuotable(shown, c.text);
    SCOPED_TRACE(shown);
    EXPECT_EQ(PrintableLength(c.text), c.length);
  }
}

}  // namespace
}  // namespace onebox::telemetry
