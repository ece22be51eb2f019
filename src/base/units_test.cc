#include "base/units.h"

#include <gtest/gtest.h>

namespace onebox {
namespace {

TEST(Units, ReadsBytesAsPeopleWriteThem) {
  EXPECT_EQ(ParseBytes("512"), 512U);
  EXPECT_EQ(ParseBytes("64k"), 65536U);
  EXPECT_EQ(ParseBytes("16 MiB"), 16U << 20);
  EXPECT_EQ(ParseBytes("1.5M"), 3U << 19);
  EXPECT_EQ(ParseBytes("1GB"), 1U << 30);
}

TEST(Units, RefusesWhatIsNotASize) {
  for (const char* text :
       {"", "MiB", "-1", "1 QiB", "1..5", "0x10", "9999999999999999 T", "1 ii"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(ParseBytes(text));
  }
}

TEST(Units, ReadsDurations) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ParseDuration("30s"), std::chrono::seconds(30));
  EXPECT_EQ(ParseDuration("2"), std::chrono::seconds(2));
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("1.5 minutes"), std::chrono::seconds(90));
  EXPECT_FALSE(ParseDuration("soon"));
  EXPECT_FALSE(ParseDuration("-1s"));
}

TEST(Units, WritesWhatItReads) {
  for (const char* text : {"16 MiB", "1500 B", "1 KiB", "3 TiB"}) {
    EXPECT_EQ(FormatBytes(*ParseBytes(text)), text);
  }
  for (const char* text : {"30s", "250ms", "2h", "90m", "0s"}) {
    EXPECT_EQ(FormatDuration(*ParseDuration(text)), text);
  }
}

}  // namespace
}  // namespace onebox
