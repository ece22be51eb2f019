#include "http/range.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

using List = std::vector<ByteRange>;

List ListOf(const Ranges& ranges) {
  return {ranges.ranges().begin(), ranges.ranges().end()};
}

TEST(Range, IsResolvedAgainstTheSize) {
  const struct {
    std::string_view value;
    std::uint64_t size;
    List ranges;
  } rows[] = {
      {"bytes=0-0", 10, {{0, 0}}},
      {"bytes=0-9", 10, {{0, 9}}},
      {"bytes=0-", 10, {{0, 9}}},
      {"bytes=9-", 10, {{9, 9}}},
      {"bytes=2-5", 10, {{2, 5}}},
      {"bytes=2-500", 10, {{2, 9}}},
      {"bytes=-1", 10, {{9, 9}}},
      {"bytes=-10", 10, {{0, 9}}},
      {"bytes=-500", 10, {{0, 9}}},
      {"BYTES=0-1", 10, {{0, 1}}},
      {"bytes= 0-1 ,\t3-4", 10, {{0, 1}, {3, 4}}},
      {"bytes=0-1,,3-4,", 10, {{0, 1}, {3, 4}}},
      {"bytes=5-6,0-1", 10, {{5, 6}, {0, 1}}},
      {"bytes=0-1,2-3", 10, {{0, 1}, {2, 3}}},
      {"bytes=0-1,50-60", 10, {{0, 1}}},
      {"bytes=0-1,-0", 10, {{0, 1}}},
      {"bytes=5-8,0-6", 10, {{0, 8}}},
      {"bytes=0-,0-,0-,-3", 10, {{0, 9}}},
      {"bytes=8-9,0-1,1-2", 10, {{0, 2}, {8, 9}}},
      {"bytes=0-18446744073709551615", 10, {{0, 9}}},
      {"bytes=1-99999999999999999999999", 10, {{1, 9}}},
      {"bytes=-99999999999999999999999", 10, {{0, 9}}},
      {"bytes=0-", UINT64_MAX, {{0, UINT64_MAX - 1}}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.value);
    const Ranges ranges = ParseRange(row.value, row.size);
    EXPECT_EQ(ranges.outcome, RangeOutcome::kPartial);
    EXPECT_EQ(ListOf(ranges), row.ranges);
  }
}

TEST(Range, IsIgnoredIfItIsNoValidBytesRange) {
  for (const char* value :
       {"",           "bytes",       "bytes=",        "bytes= ",     "bytes=,",     "bytes=-",
        "bytes=a-b",  "bytes=1",     "bytes=5-4",     "bytes=0-1-2", "bytes=0-1,x", "bytes=--1",
        "bytes=+0-1", "bytes=0x0-1", "bytes=0 - 1",   "bytes =0-1",  " bytes=0-1",  "lines=0-1",
        "0-1",        "bytes:0-1",   "bytes=0-1;2-3", "bytes=1.0-2"}) {
    SCOPED_TRACE(value);
    const Ranges ranges = ParseRange(value, 10);
    EXPECT_EQ(ranges.outcome, RangeOutcome::kWhole);
  }
}

TEST(Range, IsUnsatisfiableBehindTheEnd) {
  const struct {
    std::string_view value;
    std::uint64_t size;
  } rows[] = {{"bytes=10-", 10},
              {"bytes=10-20", 10},
              {"bytes=-0", 10},
              {"bytes=20-,30-", 10},
              {"bytes=0-", 0},
              {"bytes=-0", 0},
              {"bytes=99999999999999999999999-", 10}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.value);
    EXPECT_EQ(ParseRange(row.value, row.size).outcome, RangeOutcome::kUnsatisfiable);
  }
}

TEST(Range, OfTheLastBytesOfNothingIsAllOfIt) {
  EXPECT_EQ(ParseRange("bytes=-5", 0).outcome, RangeOutcome::kWhole);
}

TEST(Range, IsIgnoredAboveSixteen) {
  std::string value = "bytes=0-0";
  for (int i = 1; i < 16; ++i)
    value += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  EXPECT_EQ(ParseRange(value, 1000).ranges().size(), 16U);
  EXPECT_EQ(ParseRange(value + ",900-901", 1000).outcome, RangeOutcome::kWhole);
  EXPECT_EQ(ParseRange(value + ",9000-9001", 1000).outcome, RangeOutcome::kWhole);
}

TEST(Range, LabelsItsPart) {
  std::string out;
  AppendContentRange(out, {0, 499}, 1234);
  EXPECT_EQ(out, "bytes 0-499/1234");
  out.clear();
  AppendUnsatisfiedRange(out, 1234);
  EXPECT_EQ(out, "bytes */1234");
}

TEST(Range, MakesAMultipartBodyOfTheSizeItAnnounces) {
  const std::string content = "0123456789";
  const Multipart multipart{.boundary = "XyZ", .media_type = "text/plain", .size = content.size()};
  const List ranges = {{0, 1}, {8, 9}};
  std::string body;
  for (const ByteRange& range : ranges) {
    AppendPartHead(body, multipart, range);
    body += content.substr(range.first, range.size());
  }
  AppendMultipartEnd(body, multipart);
  EXPECT_EQ(body,
            "\r\n--XyZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
            "\r\n--XyZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89"
            "\r\n--XyZ--\r\n");
  EXPECT_EQ(MultipartBytes(multipart, ranges), body.size());
}

}  // namespace
}  // namespace onebox::http
