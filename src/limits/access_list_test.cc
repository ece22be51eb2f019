#include "limits/access_list.h"

#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace onebox::limits {
namespace {

std::vector<http::Network> Networks(const std::vector<std::string>& texts) {
  std::vector<http::Network> networks;
  for (const std::string& text : texts)
    networks.push_back(http::ParseNetwork(text).value());
  return networks;
}

AccessList ListOf(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
  return AccessList(Networks(allow), Networks(deny));
}

bool Allows(const AccessList& list, std::string_view address) {
  return list.Allows(http::ParseAddress(address).value());
}

TEST(AccessList, WithNothingInItAllowsAll) {
  EXPECT_TRUE(AccessList().empty());
  EXPECT_TRUE(Allows(AccessList(), "192.0.2.1"));
  EXPECT_TRUE(Allows(ListOf({}, {}), "::1"));
}

TEST(AccessList, OfDeniesAllowsTheRest) {
  const AccessList list = ListOf({}, {"192.0.2.0/24", "2001:db8::/32", "203.0.113.9"});
  EXPECT_FALSE(Allows(list, "192.0.2.0"));
  EXPECT_FALSE(Allows(list, "192.0.2.255"));
  EXPECT_TRUE(Allows(list, "192.0.1.255"));
  EXPECT_TRUE(Allows(list, "192.0.3.0"));
  EXPECT_FALSE(Allows(list, "203.0.113.9"));
  EXPECT_TRUE(Allows(list, "203.0.113.10"));
  EXPECT_FALSE(Allows(list, "2001:db8:ffff::1"));
  EXPECT_TRUE(Allows(list, "2001:db9::"));
  EXPECT_FALSE(Allows(list, "::ffff:192.0.2.7"));  // the same client
}

TEST(AccessList, OfAllowsDeniesTheRest) {
  const AccessList list = ListOf({"10.0.0.0/8"}, {});
  EXPECT_TRUE(Allows(list, "10.255.255.255"));
  EXPECT_FALSE(Allows(list, "11.0.0.0"));
  EXPECT_FALSE(Allows(list, "::1"));
}

TEST(AccessList, TheClosestNetworkDecides) {
  const AccessList list = ListOf({"10.0.0.0/8", "10.1.2.0/24", "10.1.2.128/25"},
                                 {"10.1.0.0/16", "10.1.2.3", "10.1.2.0/24"});
  EXPECT_TRUE(Allows(list, "10.0.0.1"));
  EXPECT_FALSE(Allows(list, "10.1.0.1"));
  EXPECT_FALSE(Allows(list, "10.1.2.3"));
  EXPECT_FALSE(Allows(list, "10.1.2.4")) << "written twice: deny";
  EXPECT_TRUE(Allows(list, "10.1.2.200"));
  EXPECT_FALSE(Allows(list, "10.1.3.0"));
  EXPECT_TRUE(Allows(list, "10.2.0.0"));
}

TEST(AccessList, HoldsBothEndsOfTheSpace) {
  const AccessList list = ListOf({}, {"0.0.0.0", "255.255.255.255", "::/128", "ffff::/16"});
  EXPECT_FALSE(Allows(list, "0.0.0.0"));
  EXPECT_TRUE(Allows(list, "0.0.0.1"));
  EXPECT_FALSE(Allows(list, "255.255.255.255"));
  EXPECT_FALSE(Allows(list, "::"));
  EXPECT_FALSE(Allows(list, "ffff:ffff::1"));
  EXPECT_TRUE(Allows(ListOf({"0.0.0.0/0"}, {}), "255.255.255.255"));
  EXPECT_FALSE(Allows(ListOf({"0.0.0.0/0"}, {}), "::1"));
}

// The network with the most bits, found by looking at all.
bool SlowAllows(const std::vector<http::Network>& allow,
                const std::vector<http::Network>& deny,
                const http::Address& address) {
  bool allowed = allow.empty();
  int bits = -1;
  const auto look = [&](const std::vector<http::Network>& networks, bool verdict) {
    for (const http::Network& network : networks) {
      const int own = static_cast<int>(network.bits());
      if (!network.Contains(address) || own < bits || (own == bits && verdict)) continue;
      allowed = verdict;
      bits = own;
    }
  };
  look(allow, true);
  look(deny, false);
  return allowed;
}

TEST(AccessList, SaysWhatLookingAtAllOfThemSays) {
  std::mt19937 random(5);
  const auto below = [&random](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  const auto some_address = [&] {
    const bool six = below(2) == 0;
    return http::ParseAddress(six ? fmt::format("2001:{:x}::{:x}", below(4), below(4))
                                  : fmt::format("10.{}.{}.{}", below(4), below(3) * 127, below(4)))
        .value();
  };
  const auto some_network = [&] {
    const std::string text = http::FormatAddress(some_address());
    for (;;) {
      const auto network = http::ParseNetwork(
          fmt::format("{}/{}", text, below(text.find(':') == text.npos ? 33 : 129)));
      if (network) return *network;
    }
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<http::Network> allow, deny;
    for (unsigned i = below(8); i > 0; --i)
      allow.push_back(some_network());
    for (unsigned i = below(8); i > 0; --i)
      deny.push_back(some_network());
    const AccessList list(allow, deny);
    for (int i = 0; i < 50; ++i) {
      const http::Address address = some_address();
      ASSERT_EQ(list.Allows(address), SlowAllows(allow, deny, address))
          << http::FormatAddress(address) << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace onebox::limits
