#include "http/forwarded.h"

#include <string>
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

}  // namespace
}  // namespace onebox::http
