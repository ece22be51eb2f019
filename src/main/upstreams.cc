#include "main/upstreams.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/units.h"
#include "http/characters.h"
#include "http/request_head.h"
#include "main/routes.h"
#include "upstream/settings.h"

namespace onebox::main {
namespace {

// Of a table's key, or of its row's default.
std::string Said(const Settings& table, std::string_view key, std::string_view row) {
  std::string said = TextOf(table, key);
  return said.empty() ? std::string(FindOption(row)->standard) : said;
}

struct StatusRange {
  int min = 0, max = 0;
};
// "200", "200-399".
std::optional<StatusRange> ParseStatus(std::string_view text) {
  const std::size_t dash = std::min(text.find('-'), text.size());
  const auto first = ParseDecimal(text.substr(0, dash), 599);
  const auto last = dash == text.size() ? first : ParseDecimal(text.substr(dash + 1), 599);
  if (!first || !last || *first < 200 || *last < *first) return std::nullopt;
  return StatusRange{static_cast<int>(*first), static_cast<int>(*last)};
}

// A name that is a URL: of an upstream with this server alone.
bool IsUrl(std::string_view text) {
  return text.find(':') != text.npos;
}

void SetHost(const std::string& text, upstream::Settings& made) {
  if (text == "client") return;
  made.host_policy =
      text == "server" ? upstream::HostPolicy::kServer : upstream::HostPolicy::kFixed;
  if (text != "server") made.host = text;
}

void SetProbe(const Element& health, upstream::ProbeSettings& made) {
  const auto time = [&](std::string_view key) {
    return *ParseDuration(Said(health.more, key, fmt::format("upstream.health.{}", key)));
  };
  made.path = health.text;
  made.interval = time("interval");
  made.timeout = time("timeout");
  const auto status = ParseStatus(Said(health.more, "status", "upstream.health.status"));
  CHECK(status);
  made.status_min = status->min;
  made.status_max = status->max;
}

upstream::Settings MakeUpstream(const Element& table) {
  const auto text = [&](std::string_view key) {
    return Said(table.more, key, fmt::format("upstream.{}", key));
  };
  const auto time = [&](std::string_view key) { return *ParseDuration(text(key)); };
  const auto count = [&](std::string_view key) {
    return static_cast<std::uint32_t>(*ParseDecimal(text(key), UINT32_MAX));
  };
  upstream::Settings made;
  made.name = table.text;
  for (const Element& server : ElementsOf(table.more, "servers"))
    made.servers.push_back(upstream::ServerAddress::Parse(server.text).value());
  const std::string balance = text("balance");
  if (balance == "round-robin") made.balance = upstream::Balance::kRoundRobin;
  if (balance == "hash") made.balance = upstream::Balance::kHash;
  made.key = *upstream::HashKey::Parse(text("key"));
  SetHost(text("host"), made);
  made.retries = count("retries");
  made.keepalive = count("keepalive");
  made.keepalive_timeout = time("keepalive_timeout");
  made.connect_timeout = time("connect_timeout");
  made.send_timeout = time("send_timeout");
  made.head_timeout = time("head_timeout");
  made.read_timeout = time("read_timeout");
  made.tunnel_timeout = time("tunnel_timeout");
  made.head_bytes_max = *ParseBytes(text("head_bytes_max"));
  made.passive = {.fails_max = count("max_fails"),
                  .window = time("fail_window"),
                  .pause_min = time("pause"),
                  .pause_max = time("pause_max"),
                  .slow_start = time("slow_start")};
  for (const Element& health : ElementsOf(table.more, "health"))
    SetProbe(health, made.probe);
  for (const Element& tls : ElementsOf(table.more, "tls")) {
    made.tls = {.ca = TextOf(tls.more, "ca"),
                .name = TextOf(tls.more, "name"),
                .verify = TextOf(tls.more, "verify") != "false"};
  }
  return made;
}

// The one of that name, or a new one of that server.
std::uint32_t FindOrAdd(const std::string& name, std::vector<upstream::Settings>& upstreams) {
  const auto found = std::find_if(
      upstreams.begin(), upstreams.end(), [&](const auto& one) { return one.name == name; });
  const auto index = static_cast<std::uint32_t>(found - upstreams.begin());
  if (found == upstreams.end()) {
    upstream::Settings& made = upstreams.emplace_back();
    made.name = name;
    made.servers.push_back(upstream::ServerAddress::Parse(name).value());
  }
  return index;
}

bool IsKnown(std::string_view name, const Settings& settings) {
  const auto tables = ElementsOf(settings, "upstream");
  return std::any_of(
      tables.begin(), tables.end(), [&](const Element& table) { return table.text == name; });
}

void CheckTable(const Element& table, Mistakes& mistakes) {
  const auto mistake = [&](const std::string& source, std::string_view what) {
    mistakes.push_back(fmt::format("{}: [[upstream]] \"{}\": {}", source, table.text, what));
  };
  const auto servers = ElementsOf(table.more, "servers");
  if (IsUrl(table.text)) mistake(table.source, "expected a name without \":\"");
  if (servers.empty()) mistake(table.source, "expected servers");
  if (servers.size() > upstream::kServersMax) {
    mistake(table.source, fmt::format("expected at most {} servers", upstream::kServersMax));
  }
  bool any = false;
  for (const Element& server : servers) {
    const auto address = upstream::ServerAddress::Parse(server.text);
    if (!address.ok()) mistake(server.source, address.error().message);
    any = any || (address.ok() && !address.value().backup);
  }
  if (!servers.empty() && !any) mistake(table.source, "expected a server that is no backup");
  const std::string key = Said(table.more, "key", "upstream.key");
  if (!upstream::HashKey::Parse(key)) {
    mistake(SourceOf(table.more, "key"), "key: expected address, path, header:NAME or cookie:NAME");
  }
  const std::string host = Said(table.more, "host", "upstream.host");
  if (!http::IsValidHost(host)) mistake(SourceOf(table.more, "host"), "host: expected a host");
  for (const Element& health : ElementsOf(table.more, "health")) {
    if (!health.text.starts_with('/') || !http::AllAre(http::kTargetCharacter, health.text)) {
      mistake(health.source, "health path: expected a path, as \"/health\"");
    }
    if (!ParseStatus(Said(health.more, "status", "upstream.health.status"))) {
      mistake(health.source, "health status: expected \"200\" or \"200-399\"");
    }
  }
}

void CheckName(const Element& said,
               std::string_view name,
               std::string_view where,
               const Settings& settings,
               Mistakes& mistakes) {
  if (IsUrl(name)) {
    const auto address = upstream::ServerAddress::Parse(name);
    if (!address.ok()) {
      mistakes.push_back(fmt::format("{}: {}: {}", said.source, where, address.error().message));
    }
  } else if (!IsKnown(name, settings)) {
    mistakes.push_back(
        fmt::format("{}: {}: there is no [[upstream]] \"{}\"", said.source, where, name));
  }
}

}  // namespace

void AddUpstreams(const Settings& settings, front::Settings& made) {
  for (const Element& table : ElementsOf(settings, "upstream"))
    made.upstreams.push_back(MakeUpstream(table));
  const auto all = ElementsOf(settings, "app.proxy");
  if (all.size() == 1) {
    made.rest.upstream = FindOrAdd(all.front().text, made.upstreams);
  } else if (!all.empty()) {
    upstream::Settings& several = made.upstreams.emplace_back();
    several.name = "app";
    for (const Element& server : all)
      several.servers.push_back(upstream::ServerAddress::Parse(server.text).value());
    made.rest.upstream = static_cast<std::uint32_t>(made.upstreams.size() - 1);
  }
  for (front::Route& route : made.routes) {
    if (!route.proxy.empty()) {
      route.rules.upstream = FindOrAdd(route.proxy, made.upstreams);
    } else {
      route.rules.upstream = made.rest.upstream;
    }
  }
  for (front::Site& site : made.sites)
    site.rest.upstream = made.rest.upstream;
}

void CheckUpstreams(const Settings& settings, Mistakes& mistakes) {
  const auto tables = ElementsOf(settings, "upstream");
  for (auto table = tables.begin(); table != tables.end(); ++table) {
    CheckTable(*table, mistakes);
    const bool twice = std::any_of(
        tables.begin(), table, [&](const Element& other) { return other.text == table->text; });
    if (twice) {
      mistakes.push_back(
          fmt::format("{}: [[upstream]] \"{}\": it is there twice", table->source, table->text));
    }
  }
  for (const PlacedRoute& placed : AllRoutes(settings)) {
    for (const Element& proxy : ElementsOf(placed.route->more, "proxy"))
      CheckName(proxy, proxy.text, fmt::format("{} proxy", placed.table), settings, mistakes);
  }
  const auto all = ElementsOf(settings, "app.proxy");
  for (const Element& proxy : all) {
    if (all.size() > 1 && !IsUrl(proxy.text)) {
      mistakes.push_back(fmt::format(
          "{}: [app] proxy: expected one [[upstream]], or URLs of servers", proxy.source));
    } else {
      CheckName(proxy, proxy.text, "[app] proxy", settings, mistakes);
    }
  }
  if (!all.empty() && !TextOf(settings, "app.target").empty()) {
    mistakes.push_back(fmt::format("{}: [app] proxy: there is an app, {} ({})",
                                   all.front().source,
                                   TextOf(settings, "app.target"),
                                   SourceOf(settings, "app.target")));
  }
}

bool ProxiesAll(const Settings& settings) {
  return !ElementsOf(settings, "app.proxy").empty();
}

}  // namespace onebox::main
