#include "limits/gate.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::limits {
namespace {

using Kind = Verdict::Kind;
using std::chrono::seconds;

constexpr Time kBegin{std::chrono::hours(1)};
constexpr SipKey kSecret{.low = 1, .high = 2};
constexpr std::uint32_t kFirst[] = {0};
constexpr std::uint32_t kBoth[] = {0, 1};

std::vector<KeyPart> By(const std::vector<std::string>& texts) {
  std::vector<KeyPart> parts;
  for (const std::string& text : texts)
    parts.push_back(ParseKeyPart(text).value());
  return parts;
}

struct Request {
  std::string client = "192.0.2.1";
  std::string fields = "";
  std::string path = "/";
};

std::uint64_t KeyIn(const std::vector<std::string>& by, const Request& request) {
  const http::ParsedHead head(http::HeadWith(request.fields));
  EXPECT_FALSE(head.refused());
  const auto client = http::ParseAddress(request.client);
  return KeyOf(By(by), {.head = *head, .path = request.path, .client = client}, 64, kSecret);
}

Gate::Decision Ask(Gate& gate,
                   std::span<const std::uint32_t> which,
                   const Request& request,
                   Passage& passage) {
  const http::ParsedHead head(http::HeadWith(request.fields));
  const auto client = http::ParseAddress(request.client);
  return gate.Ask(which, {.head = *head, .path = request.path, .client = client}, kBegin, passage);
}

Kind Ask(Gate& gate, std::span<const std::uint32_t> which = kFirst, const Request& request = {}) {
  Passage passage;
  return Ask(gate, which, request, passage).kind;
}

TEST(LimitKey, TellsApartWhatIsToBeCountedApart) {
  const Request plain;
  EXPECT_EQ(KeyIn({"address"}, plain), KeyIn({"address"}, {.path = "/other"}));
  EXPECT_NE(KeyIn({"address"}, plain), KeyIn({"address"}, {.client = "192.0.2.2"}));
  EXPECT_EQ(KeyIn({"address"}, {.client = "2001:db8::1"}),
            KeyIn({"address"}, {.client = "2001:db8::ffff:1"}))
      << "a /64 is one client";
  EXPECT_NE(KeyIn({"address"}, {.client = "2001:db8::1"}),
            KeyIn({"address"}, {.client = "2001:db8:0:1::1"}));
  EXPECT_NE(KeyIn({"path"}, plain), KeyIn({"path"}, {.path = "/other"}));
  EXPECT_EQ(KeyIn({"path"}, plain), KeyIn({"path"}, {.client = "192.0.2.2"}));
  EXPECT_NE(KeyIn({"address", "path"}, plain), KeyIn({"address", "path"}, {.path = "/other"}));
  EXPECT_EQ(KeyIn({"all"}, plain), KeyIn({"all"}, {.client = "192.0.2.2", .path = "/other"}));
  EXPECT_EQ(KeyIn({"header:X-Key"}, {.fields = "x-key: a\r\n"}),
            KeyIn({"header:X-Key"}, {.client = "192.0.2.2", .fields = "X-KEY: a\r\n"}));
  EXPECT_NE(KeyIn({"header:X-Key"}, {.fields = "X-Key: a\r\n"}),
            KeyIn({"header:X-Key"}, {.fields = "X-Key: b\r\n"}));
  EXPECT_EQ(KeyIn({"cookie:id"}, {.fields = "Cookie: a=1; id=7\r\n"}),
            KeyIn({"cookie:id"}, {.client = "192.0.2.2", .fields = "Cookie: id=7\r\n"}));
}

TEST(LimitKey, IsTheAddressOfWhoLeavesHeaderOrCookieOut) {
  for (const char* const by : {"header:X-Key", "cookie:id"}) {
    EXPECT_EQ(KeyIn({by}, {}), KeyIn({"address"}, {}));
    EXPECT_NE(KeyIn({by}, {}), KeyIn({by}, {.client = "192.0.2.2"}));
    EXPECT_NE(KeyIn({by}, {}), KeyIn({by}, {.fields = "X-Key:\r\nCookie: id=\r\n"}))
        << "empty is a value";
  }
}

TEST(LimitKey, PartsDoNotRunTogether) {
  EXPECT_NE(KeyIn({"header:A", "header:B"}, {.fields = "A: ab\r\nB: c\r\n"}),
            KeyIn({"header:A", "header:B"}, {.fields = "A: a\r\nB: bc\r\n"}));
}

TEST(LimitKey, IsRefusedWhereItIsNone) {
  for (const char* const wrong :
       {"", "Address", "header", "header:", "header:a b", "cookie:", "cookie:a;b", "query:x"}) {
    EXPECT_FALSE(ParseKeyPart(wrong)) << wrong;
  }
}

TEST(Gate, AsksEachLimitOfTheRoute) {
  Gate gate({{.name = "all", .rate = {.interval = seconds(1), .burst = 3}},
             {.name = "login", .rate = {.interval = seconds(1), .burst = 1}}},
            kSecret);
  EXPECT_EQ(Ask(gate, kBoth), Kind::kPass);
  Passage passage;
  const Gate::Decision refused = Ask(gate, kBoth, {}, passage);
  EXPECT_EQ(refused.kind, Kind::kRate);
  EXPECT_EQ(gate.rule(refused.limit).name, "login");
  EXPECT_EQ(refused.wait, seconds(1));
  EXPECT_TRUE(passage.empty());
  EXPECT_EQ(Ask(gate, kFirst), Kind::kPass);
  EXPECT_EQ(Ask(gate, kFirst), Kind::kRate) << "what login refused had counted";
  EXPECT_EQ(Ask(gate, {}), Kind::kPass);
  EXPECT_EQ(gate.counts(0).passed, 3U);
  EXPECT_EQ(gate.counts(0).refused_rate, 1U);
  EXPECT_EQ(gate.counts(1).refused_rate, 1U);
}

TEST(Gate, HoldsItsPlaceForAsLongAsThePassage) {
  Gate gate({{.name = "slow", .rate = {.at_once = 1}}}, kSecret);
  {
    Passage first;
    EXPECT_EQ(Ask(gate, kFirst, {}, first).kind, Kind::kPass);
    Passage moved = std::move(first);
    EXPECT_EQ(Ask(gate), Kind::kAtOnce);
  }
  EXPECT_EQ(Ask(gate), Kind::kPass);
}

TEST(Gate, GivesBackWhatItHeldWhereAnotherRefuses) {
  Gate gate({{.name = "once", .rate = {.at_once = 1}},
             {.name = "rate", .rate = {.interval = seconds(1)}}},
            kSecret);
  EXPECT_EQ(Ask(gate, kBoth), Kind::kPass);
  EXPECT_EQ(Ask(gate, kBoth), Kind::kRate);
  EXPECT_EQ(Ask(gate, kFirst), Kind::kPass) << "the refused one is not running";
}

TEST(Gate, WaitsForTheLongestDelay) {
  Gate gate(
      {{.name = "a", .rate = {.interval = seconds(1), .delay_max = seconds(9), .delayed_max = 1}},
       {.name = "b", .rate = {.interval = seconds(3), .delay_max = seconds(9)}}},
      kSecret);
  EXPECT_EQ(Ask(gate, kBoth), Kind::kPass);
  Passage passage;
  const Gate::Decision delayed = Ask(gate, kBoth, {}, passage);
  EXPECT_EQ(delayed.kind, Kind::kDelay);
  EXPECT_EQ(delayed.wait, seconds(3));
  EXPECT_EQ(Ask(gate, kFirst), Kind::kRate) << "one may wait";
  passage.EndDelay();
  EXPECT_EQ(Ask(gate, kFirst), Kind::kDelay);
}

TEST(Gate, LetsTheExemptPassUncounted) {
  Gate gate({{.name = "a",
              .rate = {.interval = seconds(1)},
              .exempt = {*http::ParseNetwork("10.0.0.0/8")}}},
            kSecret);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(Ask(gate, kFirst, {.client = "10.1.2.3"}), Kind::kPass);
  EXPECT_EQ(gate.counts(0).passed, 0U);
}

TEST(Gate, OnlyCountsWhatItWouldRefuseInADryRun) {
  Gate gate({{.name = "a",
              .rate = {.interval = seconds(1), .delay_max = seconds(1), .delayed_max = 1},
              .log_only = true}},
            kSecret);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(Ask(gate), Kind::kPass);
  const Gate::Counts counts = gate.counts(0);
  EXPECT_EQ(counts.passed, 1U);
  EXPECT_EQ(counts.delayed, 1U);
  EXPECT_EQ(counts.refused_rate, 2U);
  EXPECT_EQ(counts.logged, 3U);
}

TEST(Gate, RefusalSaysWhatTheLimitIs) {
  const LimitRule rule{
      .name = "login",
      .rate = {.interval = std::chrono::milliseconds(400), .burst = 4, .at_once = 5}};
  EXPECT_EQ(RefusalFields(rule, Kind::kRate, std::chrono::milliseconds(1001)),
            "Retry-After: 2\r\n"
            "RateLimit-Policy: \"login\";q=4;w=2\r\n"
            "RateLimit: \"login\";r=0;t=2\r\n");
  EXPECT_EQ(RefusalFields(rule, Kind::kAtOnce, {}),
            "Retry-After: 1\r\n"
            "RateLimit-Policy: \"login\";q=5;qu=\"concurrent-requests\"\r\n"
            "RateLimit: \"login\";r=0\r\n");
}

TEST(Gate, NamesAreFitForAHeaderField) {
  EXPECT_TRUE(IsLimitName("login"));
  EXPECT_TRUE(IsLimitName("/api/*"));
  EXPECT_FALSE(IsLimitName(""));
  EXPECT_FALSE(IsLimitName("a\"b"));
  EXPECT_FALSE(IsLimitName("a\nb"));
  EXPECT_FALSE(IsLimitName("\xC3\xA4"));
}

}  // namespace
}  // namespace onebox::limits
