#include "http/upstream_request.h"

#include <gtest/gtest.h>

#include "http/testing.h"

namespace onebox::http {
namespace {

Hop From(std::string_view peer, std::string_view client = {}) {
  Hop hop;
  hop.peer = ParseAddress(peer);
  hop.client = client.empty() ? hop.peer : ParseAddress(client);
  hop.scheme = "https";
  hop.host = "shop.example";
  hop.port = 443;
  return hop;
}

std::string PassedOn(const RequestHead& head, const Hop& hop) {
  std::string out;
  AppendUpstreamRequest(out, {.head = head, .hop = hop, .id = "7"});
  return out;
}

TEST(UpstreamRequest, SaysWhereItCameFrom) {
  const ParsedHead head(
      "POST http://shop.example/a%20b?x=1 HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n"
      "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\nCookie: c=d\r\n\r\n");
  std::string out;
  AppendUpstreamRequest(
      out, {.head = *head, .hop = From("203.0.113.9"), .id = "7", .content_length = 12});
  EXPECT_EQ(out,
            "POST /a%20b?x=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nCookie: c=d\r\n"
            "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n"
            "Forwarded: for=203.0.113.9;host=shop.example;proto=https\r\n"
            "Via: 1.1 onebox\r\nX-Request-ID: 7\r\nContent-Length: 12\r\n\r\n");
}

TEST(UpstreamRequest, IsSentToTheHostThatTheOperatorNames) {
  const ParsedHead head(HeadWith(""));
  std::string out;
  AppendUpstreamRequest(
      out, {.head = *head, .hop = From("::1"), .host = "10.0.0.2:8000", .id = "7", .close = true});
  EXPECT_NE(out.find("\r\nHost: 10.0.0.2:8000\r\nConnection: close\r\n"), out.npos);
  EXPECT_NE(out.find("\r\nForwarded: for=\"[::1]\";host=shop.example;proto=https\r\n"), out.npos);
  EXPECT_EQ(out.find("Content-Length"), out.npos);
}

constexpr std::string_view kSaid =
    "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 10.0.0.5\r\nX-Forwarded-Proto: https\r\n"
    "X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /shop\r\nX-Real-IP: 1.2.3.4\r\n"
    "Forwarded: for=198.51.100.7;by=\"a,b\"\r\nX-Request-ID: 99\r\n";

TEST(UpstreamRequest, KeepsWhatATrustedProxySaidAndAddsToIt) {
  const ParsedHead head(HeadWith(kSaid));
  Hop hop = From("10.0.0.9", "198.51.100.7");
  hop.trusted = true;
  const std::string out = PassedOn(*head, hop);
  for (const std::string_view line :
       {"X-Forwarded-For: 198.51.100.7, 10.0.0.5, 10.0.0.9\r\n",
        "X-Real-IP: 198.51.100.7\r\n",
        "X-Forwarded-Port: 8443\r\n",
        "X-Forwarded-Prefix: /shop\r\n",
        "Forwarded: for=198.51.100.7;by=\"a,b\", for=10.0.0.9;host=shop.example;proto=https\r\n",
        "X-Request-ID: 7\r\n"}) {
    EXPECT_NE(out.find(line), out.npos) << line << out;
  }
}

TEST(UpstreamRequest, BelievesNobodyElse) {
  const ParsedHead head(HeadWith(kSaid));
  const std::string out = PassedOn(*head, From("203.0.113.9"));
  for (const std::string_view text : {"198.51.100.7", "8443", "/shop", "1.2.3.4", "99"}) {
    EXPECT_EQ(out.find(text), out.npos) << text << out;
  }
}

TEST(UpstreamRequest, LosesWhatBelongsToTheHopBefore) {
  const ParsedHead head(
      HeadWith("Connection: keep-alive, X-Hop, Upgrade\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n"
               "Trailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nProxy-Connection: close\r\n"
               "Proxy-Authorization: Basic x\r\nProxy: evil\r\nX_Forwarded_For: 1.1.1.1\r\n"
               "X-Stays: yes\r\n"));
  const std::string out = PassedOn(*head, From("203.0.113.9"));
  EXPECT_EQ(out,
            "GET / HTTP/1.1\r\nHost: a\r\nX-Stays: yes\r\nX-Forwarded-For: 203.0.113.9\r\n"
            "X-Real-IP: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n"
            "Forwarded: for=203.0.113.9;host=shop.example;proto=https\r\nVia: 1.1 onebox\r\n"
            "X-Request-ID: 7\r\n\r\n");
}

TEST(UpstreamRequest, PassesAnUpgradeOnWhereItIsOne) {
  const struct {
    std::string bytes;
    bool asks;
  } rows[] = {
      {HeadWith("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"), true},
      {HeadWith("Connection: keep-alive\r\nUpgrade: websocket\r\n"), false},
      {HeadWith("Connection: Upgrade\r\n"), false},
      {HeadWith("Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"), false},
      {HeadWith("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"), false},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
  };
  for (const auto& row : rows) {
    const ParsedHead head(row.bytes);
    ASSERT_FALSE(head.refused());
    EXPECT_EQ(AsksForUpgrade(*head), row.asks) << row.bytes;
    if (!row.asks) continue;
    std::string out;
    AppendUpstreamRequest(out,
                          {.head = *head, .hop = From("203.0.113.9"), .id = "7", .upgrade = true});
    EXPECT_NE(out.find("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), out.npos);
  }
}

TEST(UpstreamRequest, AsksForAWebSocketInTheClientsPlace) {
  const ParsedHead head(HeadWith(
      "Connection: Upgrade\r\nUpgrade: websocket\r\nsec-websocket-key: of the client\r\n"));
  Hop hop = From("203.0.113.9");
  hop.protocol = "2";
  std::string out;
  AppendUpstreamRequest(
      out, {.head = *head, .hop = hop, .id = "7", .upgrade = true, .websocket_key = "ours"});
  EXPECT_NE(out.find("\r\nSec-WebSocket-Key: ours\r\n"), out.npos);
  EXPECT_EQ(out.find("of the client"), out.npos);
  EXPECT_NE(out.find("\r\nVia: 2 onebox\r\n"), out.npos);
}

TEST(UpstreamRequest, OfAUnixSocketNamesNoAddress) {
  const ParsedHead head(HeadWith(""));
  Hop hop;
  hop.scheme = "http";
  const std::string out = PassedOn(*head, hop);
  EXPECT_EQ(out.find("X-Forwarded-For"), out.npos);
  EXPECT_NE(out.find("\r\nForwarded: for=unknown;proto=http\r\n"), out.npos);
}

}  // namespace
}  // namespace onebox::http
