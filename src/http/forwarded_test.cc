#include "http/forwarded.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::http {
namespace {

const std::vector<Network>& Networks() {
  static const auto& networks =
      *new std::vector<Network>{*ParseNetwork("10.0.0.0/8"), *ParseNetwork("2001:db8::/32")};
  return networks;
}

std::string For(std::string_view value) {
  return std::string("X-Forwarded-For: ").append(value).append("\r\n");
}

TEST(Forwarded, FindsTheRightmostAddressThatIsNotTrusted) {
  const struct {
    std::string why;
    std::string peer;
    std::string fields;
    std::string client;
  } rows[] = {
      {"a client alone", "1.2.3.4", "", "1.2.3.4"},
      {"a client that makes it up", "1.2.3.4", For("5.6.7.8"), "1.2.3.4"},
      {"a proxy that says nothing", "10.0.0.1", "", "10.0.0.1"},
      {"one proxy", "10.0.0.1", For("5.6.7.8"), "5.6.7.8"},
      {"one proxy, and the client made up one", "10.0.0.1", For("9.9.9.9, 5.6.7.8"), "5.6.7.8"},
      {"one proxy, and the client made up one of ours",
       "10.0.0.1",
       For("10.0.0.9, 5.6.7.8"),
       "5.6.7.8"},
      {"two proxies", "10.0.0.1", For("5.6.7.8, 10.0.0.2"), "5.6.7.8"},
      {"two proxies, two fields", "10.0.0.1", For("9.9.9.9, 5.6.7.8") + For("10.0.0.2"), "5.6.7.8"},
      {"all are ours", "10.0.0.1", For("10.0.0.3, 10.0.0.2"), "10.0.0.3"},
      {"IPv6", "2001:db8::1", For("2001:db9::5"), "2001:db9::5"},
      {"ports", "10.0.0.1", For("5.6.7.8:1234, [2001:db8::7]:80"), "5.6.7.8"},
      {"brackets without a port", "10.0.0.1", For("[2001:db9::7]"), "2001:db9::7"},
      {"an IPv4 address mapped into IPv6", "::ffff:10.0.0.1", For("::ffff:5.6.7.8"), "5.6.7.8"},
      {"unknown ends the chain", "10.0.0.1", For("5.6.7.8, unknown, 10.0.0.2"), "10.0.0.2"},
      {"rubbish ends the chain", "10.0.0.1", For("5.6.7.8, <script>"), "10.0.0.1"},
      {"a bad port ends the chain", "10.0.0.1", For("5.6.7.8:x"), "10.0.0.1"},
      {"empty elements are none", "10.0.0.1", For(" , 5.6.7.8, ,"), "5.6.7.8"},
      {"nothing in it", "10.0.0.1", For(""), "10.0.0.1"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(HeadWith(row.fields));
    ASSERT_FALSE(head.refused());
    const Origin origin = FindOrigin(*head, ParseAddress(row.peer), {.networks = Networks()});
    ASSERT_TRUE(origin.client);
    EXPECT_EQ(FormatAddress(*origin.client), row.client);
  }
}

TEST(Forwarded, TakesSchemeAndHostFromTrustedPeersOnly) {
  const struct {
    std::string why;
    std::string fields;
    std::string_view scheme;
    std::string_view host;
  } rows[] = {
      {"both", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b:81\r\n", "https", "b:81"},
      {"upper case", "X-Forwarded-Proto: HTTP\r\n", "http", ""},
      {"a list: the peer's own word is the last", "X-Forwarded-Proto: https, http\r\n", "http", ""},
      {"two fields", "X-Forwarded-Host: evil\r\nX-Forwarded-Host: b\r\n", "", "b"},
      {"no scheme that we know", "X-Forwarded-Proto: gopher\r\n", "", ""},
      {"no host", "X-Forwarded-Host: a/b\r\n", "", ""},
      {"empty", "X-Forwarded-Proto:\r\nX-Forwarded-Host:\r\n", "", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    const ParsedHead head(HeadWith(row.fields));
    ASSERT_FALSE(head.refused());
    const Origin trusted = FindOrigin(*head, ParseAddress("10.0.0.1"), {.networks = Networks()});
    EXPECT_TRUE(trusted.from_trusted_proxy);
    EXPECT_EQ(trusted.scheme, row.scheme);
    EXPECT_EQ(trusted.host, row.host);
    const Origin other = FindOrigin(*head, ParseAddress("1.2.3.4"), {.networks = Networks()});
    EXPECT_FALSE(other.from_trusted_proxy);
    EXPECT_EQ(other.scheme, "");
    EXPECT_EQ(other.host, "");
  }
}

TEST(Forwarded, TrustsAUnixSocketOnlyIfTold) {
  const ParsedHead head(HeadWith(For("5.6.7.8")));
  EXPECT_FALSE(FindOrigin(*head, std::nullopt, {.networks = Networks()}).client);
  const Origin origin = FindOrigin(*head, std::nullopt, {.networks = {}, .unix_sockets = true});
  ASSERT_TRUE(origin.client);
  EXPECT_EQ(FormatAddress(*origin.client), "5.6.7.8");
}

Origin OriginFrom(const std::string& fields, ClientField field) {
  const ParsedHead head(HeadWith(fields));
  EXPECT_FALSE(head.refused());
  Origin origin =
      FindOrigin(*head, ParseAddress("10.0.0.1"), {.networks = Networks(), .field = field});
  EXPECT_TRUE(origin.client);
  origin.scheme = origin.host = {};  // views into a head that ends here
  return origin;
}

std::string ClientFrom(const std::string& fields, ClientField field) {
  const Origin origin = OriginFrom(fields, field);
  return FormatAddress(*origin.client) + " " + std::to_string(origin.client_port);
}

TEST(Forwarded, ReadsTheFieldOfTheStandard) {
  const struct {
    std::string value;
    std::string client;
  } rows[] = {
      {"for=5.6.7.8", "5.6.7.8 0"},
      {"For=5.6.7.8;proto=https;by=10.0.0.1", "5.6.7.8 0"},
      {"proto=https; for=\"5.6.7.8:4711\" ; host=b", "5.6.7.8 4711"},
      {"for=\"[2001:db9::7]:80\"", "2001:db9::7 80"},
      {"for=\"[2001:db9::7]\"", "2001:db9::7 0"},
      {"for=9.9.9.9, for=5.6.7.8", "5.6.7.8 0"},
      {"for=9.9.9.9, for=5.6.7.8, for=10.0.0.2", "5.6.7.8 0"},
      {"for=5.6.7.8, for=unknown", "10.0.0.1 0"},
      {"for=5.6.7.8, for=_hidden, for=10.0.0.2", "10.0.0.2 0"},
      {"for=5.6.7.8, proto=https", "10.0.0.1 0"},
      {"for=5.6.7.8,, ,", "5.6.7.8 0"},
      {"", "10.0.0.1 0"},
      {"for", "10.0.0.1 0"},
      {"for=\"5.6.7.8\\\"\"", "10.0.0.1 0"},
      // What a client has opened does not reach behind what a proxy adds.
      {"for=9.9.9.9;x=\", for=5.6.7.8", "5.6.7.8 0"},
      {"for=9.9.9.9;x=\", for=\"5.6.7.8:1\"", "5.6.7.8 1"},
      {"for=9.9.9.9;x=\"\\, for=5.6.7.8", "5.6.7.8 0"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.value);
    EXPECT_EQ(ClientFrom("Forwarded: " + row.value + "\r\n", ClientField::kForwarded), row.client);
  }
}

TEST(Forwarded, ReadsSchemeAndHostOfTheLastElement) {
  const ParsedHead head(
      HeadWith("Forwarded: for=1.1.1.1;proto=http;host=evil\r\n"
               "Forwarded: for=5.6.7.8;proto=HTTPS;host=\"b:81\"\r\n"));
  const Origin origin = FindOrigin(
      *head, ParseAddress("10.0.0.1"), {.networks = Networks(), .field = ClientField::kForwarded});
  EXPECT_EQ(origin.scheme, "https");
  EXPECT_EQ(origin.host, "b:81");
}

// A proxy writes one of them, and may pass on what a client made up in the others.
TEST(Forwarded, BelievesTheOneFieldThatWasChosen) {
  const std::string all =
      "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 2.2.2.2:22\r\nX-Real-IP: 3.3.3.3\r\n";
  EXPECT_EQ(ClientFrom(all, ClientField::kForwarded), "1.1.1.1 0");
  EXPECT_EQ(ClientFrom(all, ClientField::kXForwardedFor), "2.2.2.2 22");
  EXPECT_EQ(ClientFrom(all, ClientField::kXRealIp), "3.3.3.3 0");
  for (const auto& [field, own] :
       {std::pair(ClientField::kForwarded, "X-Real-IP: 3.3.3.3\r\n"),
        std::pair(ClientField::kXRealIp, "X-Forwarded-For: 2.2.2.2\r\n"),
        std::pair(ClientField::kXForwardedFor, "Forwarded: for=1.1.1.1\r\n")}) {
    EXPECT_EQ(ClientFrom(own, field), "10.0.0.1 0");
  }
}

TEST(Forwarded, OfXRealIpTheLastHolds) {
  EXPECT_EQ(ClientFrom("X-Real-IP: 3.3.3.3\r\nX-Real-IP: 4.4.4.4\r\n", ClientField::kXRealIp),
            "4.4.4.4 0");
  EXPECT_EQ(ClientFrom("X-Real-IP: 3.3.3.3, 10.0.0.2\r\n", ClientField::kXRealIp), "10.0.0.2 0");
}

}  // namespace
}  // namespace onebox::http
