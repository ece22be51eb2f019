#include "http/characters.h"

#include <gtest/gtest.h>

namespace onebox::http {
namespace {

TEST(Characters, AreOfTheClassesThatTheGrammarsName) {
  struct Row {
    std::string_view members;  // of ASCII without letters and digits
    CharacterClass of;
    bool letters_and_digits;
    bool bytes_from_0x80;
  };
  constexpr std::string_view kVisibleMarks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  const Row rows[] = {
      {"!#$%&'*+-.^_`|~", kTokenCharacter, true, false},
      {"\t !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", kFieldCharacter, true, true},
      {kVisibleMarks, kVisibleCharacter, true, false},
      {"!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~", kTargetCharacter, true, true},
      {"-._~!$&'()*+;=", kHostCharacter, true, false},
  };
  for (const Row& row : rows) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      SCOPED_TRACE(std::to_string(row.of) + " " + std::to_string(byte));
      const char c = static_cast<char>(byte);
      const bool alphanumeric = byte < 0x80 && (IsAlpha(c) || IsDigit(c));
      const bool expected = byte >= 0x80   ? row.bytes_from_0x80
                            : alphanumeric ? row.letters_and_digits
                                           : row.members.find(c) != row.members.npos;
      EXPECT_EQ(Is(row.of, c), expected);
    }
  }
}

TEST(Characters, ReadHexadecimalDigitsInBothCases) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(HexValue(kDigits[i]), i);
    EXPECT_EQ(HexValue(ToUpper(kDigits[i])), i);
  }
  for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff'})
    EXPECT_FALSE(HexValue(c));
}

TEST(Characters, MakeATokenOnlyTogether) {
  EXPECT_TRUE(IsToken("X-Request-ID"));
  EXPECT_FALSE(IsToken(""));
  EXPECT_FALSE(IsToken("a b"));
  EXPECT_FALSE(IsToken("a\x80"));
}

}  // namespace
}  // namespace onebox::http
