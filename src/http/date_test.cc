#include "http/date.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;  // 2023-11-14

TEST(Date, ReadsAllThreeForms) {
  const struct {
    std::string_view text;
    std::int64_t seconds;
  } rows[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},
      {"Wed Nov 16 08:49:37 1994", 784975777},
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
      {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
      {"Fri, 31 Dec 9999 23:59:59 GMT", kDateMax},
      {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
      {"Saturday, 31-Dec-16 23:59:60 GMT", 1483228800},
      {"Monday, 06-Nov-73 08:49:37 GMT", 3277183777},    // 50 years ahead is still ahead
      {"Wednesday, 06-Nov-74 08:49:37 GMT", 152959777},  // 51 are not
      {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},      // a wrong weekday harms nobody
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ParseDate(row.text, kNow), row.seconds);
  }
}

TEST(Date, RefusesWhatIsNoDate) {
  for (const char* text : {"",
                           "0",
                           "784111777",
                           "Sun",
                           "Sun,",
                           "Sun, 06 Nov 1994",
                           "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sun, 06 Nov 1994 08:49:37 GMT ",
                           " Sun, 06 Nov 1994 08:49:37 GMT",
                           "Sun,  06 Nov 1994 08:49:37 GMT",
                           "Sun, 6 Nov 1994 08:49:37 GMT",
                           "Sun, 06 nov 1994 08:49:37 GMT",
                           "sun, 06 Nov 1994 08:49:37 GMT",
                           "Son, 06 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 94 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT",
                           "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Wed, 29 Feb 1995 08:49:37 GMT",
                           "Thu, 29 Feb 1900 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:37 GMT",
                           "Sun, 06 Nov 1994 08:49:61 GMT",
                           "Sun, 06 Nov 1994 08:49 GMT",
                           "Sun, +6 Nov 1994 08:49:37 GMT",
                           "Sun, 06-Nov-94 08:49:37 GMT",
                           "Sunday, 06-Nov-1994 08:49:37 GMT",
                           "Sunday, 06 Nov 1994 08:49:37 GMT",
                           "Sun Nov 6 08:49:37 1994",
                           "Sun Nov  6 08:49:37 1994 GMT",
                           "Sun Nov 06 08:49:37 94"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseDate(text, kNow));
  }
}

TEST(Date, RefusesADateThatIsCutOff) {
  for (const std::string_view text : {"Sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      EXPECT_FALSE(ParseDate(text.substr(0, size), kNow)) << text.substr(0, size);
    }
  }
}

TEST(Date, IsWrittenAsImfFixdate) {
  EXPECT_EQ(View(FormatDate(784111777)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(View(FormatDate(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(View(FormatDate(kDateMax)), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(FormatDate(-5), FormatDate(0));
  EXPECT_EQ(FormatDate(kDateMax + 1), FormatDate(kDateMax));
}

TEST(Date, ReadsBackWhatItWrites) {
  // Steps of a day and a bit, over all years that can be written.
  for (std::int64_t seconds = 0; seconds <= kDateMax; seconds += 86'400 * 3 + 3'723) {
    const DateText text = FormatDate(seconds);
    ASSERT_EQ(ParseDate(View(text), kNow), seconds) << View(text);
  }
}

}  // namespace
}  // namespace onebox::http
