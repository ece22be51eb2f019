// Whether what the file says of other servers reaches the front, and mistakes in it their line.
#include "main/upstreams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/config.h"
#include "main/testing.h"

namespace onebox::main {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(AddUpstreams, TellsTheFrontWhatTheFileSays) {
  const Settings settings = SettingsOf(R"(
    [app]
    proxy = ["shop"]
    [[upstream]]
    name = "shop"
    servers = ["http://10.0.0.2:8000 weight=2", "https://b backup"]
    balance = "hash"
    key = "cookie:user"
    host = "server"
    retries = 5
    keepalive = 7
    connect_timeout = "250ms"
    max_fails = 9
    slow_start = "30s"
    health = { path = "/health", interval = "1s", status = "204" }
    tls = { ca = "ca.pem", name = "shop.internal", verify = false }
    [[route]]
    path = "/search/*"
    proxy = "http://127.0.0.1:7700"
    [[route]]
    path = "/a"
    )");
  Mistakes mistakes;
  CheckUpstreams(settings, mistakes);
  EXPECT_THAT(mistakes, IsEmpty());
  const front::Settings front = MakeConfig(settings).value().front;
  ASSERT_EQ(front.upstreams.size(), 2U);
  const upstream::Settings& shop = front.upstreams[0];
  EXPECT_EQ(shop.name, "shop");
  ASSERT_EQ(shop.servers.size(), 2U);
  EXPECT_EQ(shop.servers[0].weight, 2U);
  EXPECT_TRUE(shop.servers[1].secure && shop.servers[1].backup);
  EXPECT_EQ(shop.balance, upstream::Balance::kHash);
  EXPECT_EQ(shop.key.name, "user");
  EXPECT_EQ(shop.host_policy, upstream::HostPolicy::kServer);
  EXPECT_EQ(shop.retries, 5U);
  EXPECT_EQ(shop.keepalive, 7U);
  EXPECT_EQ(shop.connect_timeout, milliseconds(250));
  EXPECT_EQ(shop.passive.fails_max, 9U);
  EXPECT_EQ(shop.passive.slow_start, seconds(30));
  EXPECT_EQ(shop.probe.path, "/health");
  EXPECT_EQ(shop.probe.interval, seconds(1));
  EXPECT_EQ(shop.probe.status_min, 204);
  EXPECT_EQ(shop.probe.status_max, 204);
  EXPECT_EQ(shop.tls.ca, "/ca.pem");
  EXPECT_EQ(shop.tls.name, "shop.internal");
  EXPECT_FALSE(shop.tls.verify);
  EXPECT_EQ(front.upstreams[1].servers[0].text(), "http://127.0.0.1:7700");
  EXPECT_EQ(front.rest.upstream, 0U);
  EXPECT_EQ(front.routes[0].rules.upstream, 1U);
  EXPECT_EQ(front.routes[1].rules.upstream, 0U);
}

TEST(AddUpstreams, HasTheSameDefaultsAsTheRoom) {
  const front::Settings front =
      MakeConfig(SettingsOf("[[upstream]]\nname = 'a'\nservers = ['http://b']\n")).value().front;
  ASSERT_EQ(front.upstreams.size(), 1U);
  const upstream::Settings& made = front.upstreams[0];
  const upstream::Settings standard;
  EXPECT_EQ(made.balance, standard.balance);
  EXPECT_EQ(made.retries, standard.retries);
  EXPECT_EQ(made.keepalive, standard.keepalive);
  EXPECT_EQ(made.keepalive_timeout, standard.keepalive_timeout);
  EXPECT_EQ(made.connect_timeout, standard.connect_timeout);
  EXPECT_EQ(made.send_timeout, standard.send_timeout);
  EXPECT_EQ(made.head_timeout, standard.head_timeout);
  EXPECT_EQ(made.read_timeout, standard.read_timeout);
  EXPECT_EQ(made.tunnel_timeout, standard.tunnel_timeout);
  EXPECT_EQ(made.head_bytes_max, standard.head_bytes_max);
  EXPECT_EQ(made.passive.fails_max, standard.passive.fails_max);
  EXPECT_EQ(made.passive.window, standard.passive.window);
  EXPECT_EQ(made.passive.pause_min, standard.passive.pause_min);
  EXPECT_EQ(made.passive.pause_max, standard.passive.pause_max);
  EXPECT_EQ(made.tls.verify, standard.tls.verify);
  EXPECT_FALSE(front.rest.upstream);
}

TEST(AddUpstreams, MakesOneOfSeveralUrls) {
  const front::Settings front =
      MakeConfig(SettingsOf("[app]\nproxy = ['http://a', 'unix:/b']\n")).value().front;
  ASSERT_EQ(front.upstreams.size(), 1U);
  EXPECT_EQ(front.upstreams[0].servers[1].text(), "unix:/b");
  EXPECT_EQ(front.rest.upstream, 0U);
}

TEST(CheckUpstreams, NamesEachMistakeWithItsLine) {
  const std::string one = "[[upstream]]\nname = 'a'\nservers = ['http://b']\n";
  const struct {
    std::string toml;
    std::string_view mistake;
  } rows[] = {
      {"[app]\nproxy = ['nobody']\n",
       "onebox.toml:2: [app] proxy: there is no [[upstream]] \"nobody\""},
      {"[app]\nproxy = ['ftp://a']\n", "onebox.toml:2: [app] proxy: expected http://HOST[:PORT]"},
      {"[app]\nproxy = ['a', 'b']\n", "expected one [[upstream]], or URLs of servers"},
      {"[app]\ntarget = 'app:app'\nproxy = ['http://a']\n",
       "[app] proxy: there is an app, app:app"},
      {"[[route]]\npath = '/'\nproxy = 'b'\n",
       "onebox.toml:3: [[route]] proxy: there is no [[upstream]] \"b\""},
      {one + one, "[[upstream]] \"a\": it is there twice"},
      {"[[upstream]]\nname = 'a'\nservers = ['http://b weight=0']\n", "expected weight=1"},
      {"[[upstream]]\nname = 'a'\nservers = ['http://b backup']\n",
       "expected a server that is no backup"},
      {"[[upstream]]\nname = 'http://a'\nservers = ['http://b']\n", "expected a name without"},
      {one + "key = 'ip'\n", "onebox.toml:4: [[upstream]] \"a\": key: expected address"},
      {one + "host = 'a b'\n", "host: expected a host"},
      {one + "health = 'x'\n", "health path: expected a path"},
      {one + "health = { path = '/', status = '100' }\n", "health status: expected"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.toml);
    Mistakes mistakes;
    CheckUpstreams(SettingsOf(row.toml), mistakes);
    EXPECT_THAT(mistakes, Contains(HasSubstr(row.mistake)));
  }
}

}  // namespace
}  // namespace onebox::main
