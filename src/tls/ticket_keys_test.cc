#include "tls/ticket_keys.h"

#include <gtest/gtest.h>

namespace onebox::tls {
namespace {

constexpr Duration kRotation = std::chrono::hours(12);
const WallTime kNow{std::chrono::hours(12 * 40'000)};

TicketKeys::Secret SecretOf(std::uint8_t byte) {
  TicketKeys::Secret secret{};
  secret.fill(byte);
  return secret;
}

TEST(TicketKeys, AreThoseOfTheTimeWhateverTheWayThere) {
  TicketKeys in_steps(SecretOf(1), kRotation, kNow);
  TicketKeys at_once(SecretOf(1), kRotation, kNow);
  for (int i = 1; i <= 30; ++i)
    in_steps.AdvanceTo(kNow + i * std::chrono::hours(1));
  at_once.AdvanceTo(kNow + std::chrono::hours(30));
  EXPECT_EQ(in_steps.current().name, at_once.current().name);
  EXPECT_EQ(in_steps.current().cipher, at_once.current().cipher);
  TicketKeys other(SecretOf(2), kRotation, kNow);
  EXPECT_NE(other.current().name, TicketKeys(SecretOf(1), kRotation, kNow).current().name);
}

TEST(TicketKeys, AreAcceptedForOneMoreRotation) {
  TicketKeys keys(SecretOf(1), kRotation, kNow);
  const TicketKeys::Key first = keys.current();
  EXPECT_EQ(keys.Find(first.name)->age, TicketKeys::Age::kCurrent);
  keys.AdvanceTo(kNow + kRotation - std::chrono::seconds(1));
  EXPECT_EQ(keys.Find(first.name)->age, TicketKeys::Age::kCurrent);
  keys.AdvanceTo(kNow + kRotation);
  EXPECT_EQ(keys.Find(first.name)->age, TicketKeys::Age::kPrevious);
  EXPECT_EQ(keys.Find(first.name)->key.cipher, first.cipher);
  keys.AdvanceTo(kNow + 2 * kRotation);
  EXPECT_FALSE(keys.Find(first.name).has_value());
}

TEST(TicketKeys, DoNotGoBackWithTheClock) {
  TicketKeys keys(SecretOf(1), kRotation, kNow);
  keys.AdvanceTo(kNow + kRotation);
  const TicketKeys::Key later = keys.current();
  keys.AdvanceTo(kNow);
  EXPECT_EQ(keys.current().name, later.name);
  keys.AdvanceTo(kNow + kRotation);
  EXPECT_EQ(keys.current().name, later.name);
}

TEST(TicketKeys, FollowAClockThatJumpsByDecades) {
  TicketKeys keys(SecretOf(1), std::chrono::seconds(1), WallTime());
  const TicketKeys::Key first = keys.current();
  keys.AdvanceTo(kNow);
  EXPECT_NE(keys.current().name, first.name);
  EXPECT_FALSE(keys.Find(first.name).has_value());
}

}  // namespace
}  // namespace onebox::tls
