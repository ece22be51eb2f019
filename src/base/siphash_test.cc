#include "base/siphash.h"

#include <string>

#include <gtest/gtest.h>

namespace onebox {
namespace {

constexpr SipKey kKey{.low = 0x0706050403020100U, .high = 0x0f0e0d0c0b0a0908U};

std::uint64_t HashOf(std::string_view bytes) {
  SipHash hash(kKey);
  hash.Add(bytes);
  return hash.Finish();
}

// The bytes 0, 1, 2 ... of the paper's test vectors.
std::string Counting(int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i)
    bytes.push_back(static_cast<char>(i));
  return bytes;
}

TEST(SipHash, IsThatOfItsAuthors) {
  EXPECT_EQ(HashOf(""), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(HashOf(Counting(1)), 0x74f839c593dc67fdU);
  EXPECT_EQ(HashOf(Counting(8)), 0x93f5f5799a932462U);
  EXPECT_EQ(HashOf(Counting(15)), 0xa129ca6149be45e5U);
}

TEST(SipHash, DoesNotDependOnHowTheBytesAreCut) {
  const std::string bytes = Counting(40);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      SipHash hash(kKey);
      hash.Add(std::string_view(bytes).substr(0, first));
      hash.Add(std::string_view(bytes).substr(first, second - first));
      hash.Add(std::string_view(bytes).substr(second));
      EXPECT_EQ(hash.Finish(), HashOf(bytes));
    }
  }
}

TEST(SipHash, DependsOnItsKey) {
  SipHash other({.low = kKey.low ^ 1, .high = kKey.high});
  EXPECT_NE(other.Finish(), HashOf(""));
}

}  // namespace
}  // namespace onebox
