#include "cache/common_names.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace onebox::cache {
namespace {

TEST(CommonNames, HasANameWhenEnoughKeysBeginSo) {
  std::mt19937_64 random(1);
  CommonNames names;
  const std::uint64_t users = random();
  for (std::uint64_t i = 1; i < CommonNames::kKeysMin; ++i)
    EXPECT_FALSE(names.Saw(users, random()));
  EXPECT_TRUE(names.Saw(users, random()));
}

TEST(CommonNames, HasNoneForOneKeyHoweverOftenItIsAsked) {
  CommonNames names;
  for (int i = 0; i < 1'000; ++i)
    EXPECT_FALSE(names.Saw(std::uint64_t{7} << 40U, std::uint64_t{9} << 40U));
}

TEST(CommonNames, FindsTheCommonAmongTheRandom) {
  std::mt19937_64 random(2);
  CommonNames names;
  const std::uint64_t users = random();
  int common = 0;
  bool users_common = false;
  for (int i = 0; i < 1'000'000; ++i) {
    if (i % 10 == 0 && names.Saw(users, random())) users_common = true;
    if (names.Saw(random(), random())) ++common;
  }
  EXPECT_TRUE(users_common);
  EXPECT_EQ(common, 0);
}

}  // namespace
}  // namespace onebox::cache
