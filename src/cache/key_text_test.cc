#include "cache/key_text.h"

#include <set>

#include <gtest/gtest.h>

namespace onebox::cache {
namespace {

// As somebody writes it, and as it is shown.
struct Case {
  std::string_view written, shown;
};
constexpr Case kCases[] = {
    {"prices", "'prices'"},
    {"'prices'", "'prices'"},
    {"\"prices\"", "'prices'"},
    {"it's", "'it\\'s'"},
    {"'it\\'s'", "'it\\'s'"},
    {"view//market", "'view//market'"},
    {"3", "3"},
    {"'3'", "'3'"},
    {"-3", "-3"},
    {"3.0", "3.0"},
    {"1e30", "1e+30"},
    {"9223372036854775807", "9223372036854775807"},
    {"3 countries", "'3 countries'"},
    {"None", "None"},
    {"Nonesuch", "'Nonesuch'"},
    {"True", "True"},
    {"b'\\x00\\xff'", "b'\\x00\\xff'"},
    {"('prices', 3)", "('prices', 3)"},
    {"('prices',3,)", "('prices', 3)"},
    {"('prices',)", "('prices',)"},
    {"()", "()"},
    {"(1, (None, False), 'a, b')", "(1, (None, False), 'a, b')"},
    {"", "''"},
    {"träge", "'träge'"},
};

TEST(KeyText, IsReadAndShownAsPythonWritesIt) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.written);
    const auto value = ParseKeyValue(one.written);
    ASSERT_TRUE(value.ok()) << value.error().message;
    std::string key;
    AppendNamespace("app", key);
    key += value.value();
    const auto text = DescribeKey(key);
    ASSERT_TRUE(text);
    EXPECT_EQ(text->name_space, "app");
    EXPECT_EQ(text->value, one.shown);
    for (std::size_t size = 0; size < key.size(); ++size) {
      EXPECT_FALSE(DescribeKey(std::string_view(key).substr(0, size))) << size;
    }
    EXPECT_FALSE(DescribeKey(key + "N"));
  }
}

TEST(KeyText, IsRefusedWhereItBeginsAndDoesNotEnd) {
  for (const std::string_view text :
       {"(", "('a'", "('a' 'b')", "('a',,)", "(a)", "('a')", "'a", "'a\\", "\"a'", "('a', b)"}) {
    EXPECT_FALSE(ParseKeyValue(text).ok()) << text;
  }
  EXPECT_FALSE(ParseKeyValue(std::string(100, '(')).ok());
}

TEST(KeyText, DiffersWhereTheValuesDo) {
  std::set<std::string> keys;
  const std::string_view values[] = {
      "1", "1.0", "'1'", "b'1'", "True", "('1',)", "('1', '1')", "(('1',), '1')", "('11',)", "()"};
  for (const std::string_view value : values) {
    keys.insert(ParseKeyValue(value).value());
  }
  EXPECT_EQ(keys.size(), std::size(values));
}

}  // namespace
}  // namespace onebox::cache
