// Result, TRY, CHECK and the wire reader: the words every other room is written in.
#include <gtest/gtest.h>

#include "base/result.h"
#include "base/wire.h"

namespace onebox {
namespace {

Result<int> Half(int number) {
  if (number % 2 != 0) return OperatorError("odd");
  return number / 2;
}

Result<int> Quarter(int number) {
  const int half = TRY(Half(number));
  return Half(half);
}

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(7).error().message, "odd");
  EXPECT_EQ(Quarter(6).error().message, "odd");
}

TEST(CheckDeathTest, TellsWhatFailedAndDuringWhat) {
  EXPECT_DEATH(
      {
        const CrashStory story("GET /wars");
        CHECK(Half(8).value() == 5);
      },
      "CHECK failed: Half\\(8\\).value\\(\\) == 5 .* while: GET /wars");
}

TEST(Wire, ReadsWhatWasWritten) {
  std::string bytes;
  Writer writer(bytes);
  writer.Write<std::uint16_t>(7);
  writer.WriteText("hello");
  Reader reader(bytes);
  EXPECT_EQ(reader.Read<std::uint16_t>(), 7);
  EXPECT_EQ(reader.ReadText(), "hello");
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.rest().empty());
}

TEST(Wire, AReadPastTheEndFailsAndStaysFailed) {
  std::string bytes;
  Writer writer(bytes);
  writer.Write<std::uint32_t>(100);
  bytes += "short";
  Reader reader(bytes);
  EXPECT_EQ(reader.ReadText(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Read<std::uint8_t>(), 0);
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace onebox
