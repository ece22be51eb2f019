#include "http/known_field.h"

#include <string>

#include <gtest/gtest.h>

#include "base/ascii.h"

namespace onebox::http {
namespace {

TEST(KnownField, IsFoundByItsNameInAnyCase) {
  for (std::size_t i = 1; i < kKnownFields; ++i) {
    const auto field = static_cast<KnownField>(i);
    std::string name(NameOf(field));
    SCOPED_TRACE(name);
    EXPECT_EQ(KnownFieldOf(name), field);
    name[0] = ToUpper(name[0]);
    EXPECT_EQ(KnownFieldOf(name), field);
    for (char& c : name)
      c = ToUpper(c);
    EXPECT_EQ(KnownFieldOf(name), field);
  }
  EXPECT_EQ(NameOf(KnownField::kXForwardedProto), "x-forwarded-proto");
  EXPECT_EQ(NameOf(KnownField::kIfUnmodifiedSince), "if-unmodified-since");
}

TEST(KnownField, IsNotFoundByANameThatDiffersInOneCharacter) {
  for (std::size_t i = 1; i < kKnownFields; ++i) {
    const std::string name(NameOf(static_cast<KnownField>(i)));
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (const char other : {'_', '!', '0', 'q', 'Q', '~', '^'}) {
        if (ToLower(other) == name[at]) continue;
        std::string changed = name;
        changed[at] = other;
        SCOPED_TRACE(changed);
        EXPECT_EQ(KnownFieldOf(changed), KnownField::kOther);
      }
    }
    EXPECT_EQ(KnownFieldOf(name + "s"), KnownField::kOther) << name;
    EXPECT_EQ(KnownFieldOf(name.substr(1)), KnownField::kOther) << name;
  }
  EXPECT_EQ(KnownFieldOf(std::string(300, 'x')), KnownField::kOther);
}

}  // namespace
}  // namespace onebox::http
