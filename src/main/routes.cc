#include "main/routes.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/check.h"
#include "base/units.h"
#include "front/header_rules.h"
#include "front/host_table.h"
#include "front/location_template.h"
#include "front/router.h"
#include "front/static_names.h"
#include "http/characters.h"
#include "http/response_head.h"
#include "main/apps.h"
#include "main/words.h"

namespace onebox::main {
namespace {

constexpr std::string_view kAll = "all";

// Keys of a route that say who answers in the app's place.
constexpr std::array<std::string_view, 4> kAnswerers = {"static", "redirect", "respond", "proxy"};

std::string OfMount(const Element& mount, std::string_view key) {
  std::string said = TextOf(mount.more, key);
  if (!said.empty()) return said;
  return std::string(FindOption(fmt::format("{}{}", kMountPrefix, key))->standard);
}

constexpr std::string_view kElseApp = "@app";
constexpr std::string_view kTriedPath = "$path";
constexpr std::string_view kRouteTable = "[[route]]";
constexpr std::string_view kSiteRouteTable = "[[site.route]]";

std::vector<std::string> Texts(std::span<const Element> elements) {
  std::vector<std::string> texts;
  for (const Element& element : elements)
    texts.push_back(element.text);
  return texts;
}

// Of a prefix of [static], or of a route's `static`.
front::StaticMount MakeMount(const Element& mount) {
  const auto time = [&mount](std::string_view key) {
    return std::chrono::duration_cast<std::chrono::seconds>(*ParseDuration(OfMount(mount, key)));
  };
  front::StaticMount made{.number = 0,
                          .folder = mount.text,
                          .max_age = time("max_age"),
                          .immutable_max_age = time("immutable_max_age"),
                          .immutable = OfMount(mount, "immutable") == "true",
                          .follow_links = OfMount(mount, "follow_links") == "true",
                          .try_files = Texts(ElementsOf(mount.more, "try_files")),
                          .index = Texts(ElementsOf(mount.more, "index"))};
  made.else_app = !made.try_files.empty() && made.try_files.back() == kElseApp;
  if (!made.else_app) return made;
  made.try_files.pop_back();
  if (made.try_files.empty()) made.try_files.emplace_back(kTriedPath);
  return made;
}

std::uint32_t MakeMethods(std::span<const Element> names) {
  std::uint32_t methods = 0;
  for (const Element& name : names) {
    methods |= front::MethodBit(http::MethodOf(name.text));
    if (name.text == "GET") methods |= front::MethodBit(http::Method::kHead);
  }
  return methods;
}

front::Priority MakePriority(std::string_view name) {
  const auto choices =
      SplitWords(FindOption("route.priority")->choices, ',');  // in the enum's order
  const auto found = std::find(choices.begin(), choices.end(), name);
  CHECK(found != choices.end());
  return static_cast<front::Priority>(found - choices.begin());
}

front::FieldPairs Pairs(std::span<const Element> fields) {
  front::FieldPairs pairs;
  for (const Element& field : fields)
    pairs.emplace_back(field.name, field.text);
  return pairs;
}

front::SecurityHeaders MakeSecurity(std::string_view text) {
  if (text == "strict") return front::SecurityHeaders::kStrict;
  return text == "true" ? front::SecurityHeaders::kOn : front::SecurityHeaders::kOff;
}

// What each of the tables says that hold for an answer and for its request, the widest first.
class HeaderLayers {
 public:
  // `table` has the keys security_headers, headers and request_headers behind `prefix`, or not.
  HeaderLayers With(const Settings& table, std::string_view prefix = {}) const {
    HeaderLayers both = *this;
    const auto key = [prefix](std::string_view name) { return fmt::format("{}{}", prefix, name); };
    if (const std::string text = TextOf(table, key("security_headers")); !text.empty()) {
      both.security_ = MakeSecurity(text);
    }
    Add(ElementsOf(table, key("headers")), both.answers_);
    Add(ElementsOf(table, key("request_headers")), both.requests_);
    return both;
  }

  void Make(front::RouteRules& rules) const {
    rules.headers = front::HeaderRules(security_);
    for (const front::HeaderChanges& layer : answers_)
      rules.headers = rules.headers.Under(layer);
    rules.request_headers = {};
    for (const front::HeaderChanges& layer : requests_)
      rules.request_headers = rules.request_headers.Under(layer);
  }

 private:
  using Layers = std::vector<front::HeaderChanges>;

  static void Add(std::span<const Element> said, Layers& layers) {
    if (said.empty()) return;
    const Settings& changes = said.front().more;
    front::HeaderChanges& layer = layers.emplace_back();
    for (const Element& name : ElementsOf(changes, "remove"))
      layer.remove.push_back(name.text);
    layer.set = Pairs(ElementsOf(changes, "set"));
    layer.add = Pairs(ElementsOf(changes, "add"));
    layer.defaults = Pairs(ElementsOf(changes, "default"));
  }

  front::SecurityHeaders security_ = front::SecurityHeaders::kOff;
  Layers answers_;
  Layers requests_;
};

// A key of a route's cache: what is set, or its default.
std::string OfCache(const Element& cache, std::string_view key) {
  std::string said = key == "ttl" ? cache.text : TextOf(cache.more, key);
  if (!said.empty()) return said;
  return std::string(FindOption(fmt::format("route.cache.{}", key))->standard);
}

std::vector<std::string> ListOfCache(const Element& cache, std::string_view key) {
  std::vector<std::string> list;
  for (const Element& element : ElementsOf(cache.more, key))
    list.push_back(element.text);
  return list;
}

// "cookie:country": the name, where it is of that kind.
std::optional<std::string_view> KeyPart(std::string_view text, std::string_view kind) {
  if (!text.starts_with(kind) || text.size() == kind.size()) return std::nullopt;
  return text.substr(kind.size());
}
constexpr std::string_view kCookiePart = "cookie:";
constexpr std::string_view kHeaderPart = "header:";

webcache::Rules MakeCache(const Element& cache) {
  const auto time = [&cache](std::string_view key) {
    return std::chrono::duration_cast<std::chrono::seconds>(*ParseDuration(OfCache(cache, key)));
  };
  webcache::Rules made;
  if (OfCache(cache, "ttl") != "headers") made.policy.ttl = time("ttl");
  made.policy.stale = time("stale");
  made.policy.stale_if_error = time("stale_if_error");
  made.policy.negative_ttl = time("negative_ttl");
  made.ignore_cookies = ListOfCache(cache, "ignore_cookies");
  made.ignore_query = ListOfCache(cache, "ignore_query");
  made.tags = ListOfCache(cache, "tags");
  const auto parts = ListOfCache(cache, "key");
  made.key_query = parts.empty() || std::find(parts.begin(), parts.end(), "query") != parts.end();
  for (const std::string& part : parts) {
    if (const auto cookie = KeyPart(part, kCookiePart)) made.key_cookies.emplace_back(*cookie);
    if (const auto header = KeyPart(part, kHeaderPart))
      made.key_headers.push_back(Lowered(*header));
  }
  made.policy.names_cookies = !made.ignore_cookies.empty() || !made.key_cookies.empty();
  return made;
}

// Who answers in the app's place.
void MakeAnswerer(const Settings& route, front::RouteRules& rules) {
  for (const Element& files : ElementsOf(route, "static"))
    rules.files = MakeMount(files);
  for (const Element& redirect : ElementsOf(route, "redirect")) {
    front::Redirect& made = rules.redirect.emplace(
        front::Redirect{front::LocationTemplate::Parse(redirect.text).value()});
    if (const auto status = ParseDecimal(TextOf(redirect.more, "status"), 999)) {
      made.status = static_cast<int>(*status);
    }
  }
  for (const Element& respond : ElementsOf(route, "respond")) {
    front::FixedAnswer& made = rules.respond.emplace();
    made.status = static_cast<int>(*ParseDecimal(respond.text, 999));
    for (const Element& body : ElementsOf(respond.more, "body"))
      made.body = body.text;
    made.type = TextOf(respond.more, "type");
    if (made.type.empty()) made.type = FindOption("route.respond.type")->standard;
  }
}

// What it does not say holds as for the rest.
front::Route MakeRoute(const Element& route,
                       const front::RouteRules& rest,
                       const HeaderLayers& layers) {
  front::Route made{
      .path = route.text, .methods = MakeMethods(ElementsOf(route.more, "methods")), .rules = rest};
  const auto if_said = [&route](std::string_view key, const auto& take) {
    if (const std::string text = TextOf(route.more, key); !text.empty()) take(text);
  };
  const auto count = [](const std::string& text) {
    return static_cast<std::uint32_t>(
        *ParseDecimal(text, std::numeric_limits<std::uint32_t>::max()));
  };
  front::RouteRules& rules = made.rules;
  made.proxy = TextOf(route.more, "proxy");
  if_said("timeout", [&](const std::string& text) { rules.timeout = *ParseDuration(text); });
  if_said("body_bytes_max",
          [&](const std::string& text) { rules.body_bytes_max = *ParseBytes(text); });
  if_said("priority", [&](const std::string& text) { rules.priority = MakePriority(text); });
  if_said("concurrency", [&](const std::string& text) {
    if (text != kAll) rules.concurrency_max = count(text);
  });
  if_said("share", [&](const std::string& text) { rules.share_max = PerCent(text); });
  if_said("queue_max", [&](const std::string& text) { rules.queue_max = count(text); });
  if_said("queue_timeout",
          [&](const std::string& text) { rules.queue_timeout = *ParseDuration(text); });
  if_said("cancel_disconnected",
          [&](const std::string& text) { rules.cancel_disconnected = text == "true"; });
  layers.With(route.more).Make(rules);
  for (const Element& hint : ElementsOf(route.more, "early_hints"))
    http::AppendField(rules.early_hints, "Link", hint.text);
  for (const Element& cache : ElementsOf(route.more, "cache"))
    rules.cache = MakeCache(cache);
  MakeAnswerer(route.more, rules);
  return made;
}

front::RouteRules RulesWith(front::RouteRules rules, const HeaderLayers& layers) {
  layers.Make(rules);
  return rules;
}

HeaderLayers LayersOf(const Settings& settings) {
  return HeaderLayers().With(settings, "front.");
}

void CheckRequestHeaders(std::span<const Element> said,
                         const std::string& place,
                         Mistakes& mistakes) {
  if (said.empty()) return;
  const auto check = [&](const Element& at, std::string_view key, const std::string& name) {
    if (front::IsFieldForRequestRules(name)) return;
    mistakes.push_back(fmt::format(
        "{}: {} request_headers {}: expected the name of a field that is not the connection's own "
        "or says who is asked, got {}",
        at.source,
        place,
        key,
        Quoted(name)));
  };
  const Settings& changes = said.front().more;
  for (const Element& name : ElementsOf(changes, "remove"))
    check(name, "remove", name.text);
  for (const std::string_view key : {"set", "add", "default"}) {
    for (const Element& field : ElementsOf(changes, key))
      check(field, key, field.name);
  }
}

void CheckHeaders(const front::RouteRules& rules,
                  const std::string& source,
                  std::string_view place,
                  Mistakes& mistakes) {
  const std::size_t most = std::max(rules.headers.size(), rules.request_headers.size());
  if (most <= front::kHeaderRulesMax) return;
  mistakes.push_back(fmt::format("{}: {}: expected at most {} fields in header rules, got {}",
                                 source,
                                 place,
                                 front::kHeaderRulesMax,
                                 most));
}

// Of one table of mounts, the longest first: it is the narrowest.
void AddMounts(std::span<const Element> mounts,
               const front::RouteRules& rest,
               std::uint32_t site,
               std::vector<front::Route>& to) {
  std::vector<const Element*> longest_first;
  for (const Element& mount : mounts)
    longest_first.push_back(&mount);
  std::stable_sort(longest_first.begin(), longest_first.end(), [](const auto* a, const auto* b) {
    return a->name.size() > b->name.size();
  });
  for (const Element* mount : longest_first) {
    front::Route& route = to.emplace_back(
        front::Route{.path = mount->name + "*", .methods = 0, .rules = rest, .site = site});
    route.rules.files = MakeMount(*mount);
  }
}

void AddRoutesOf(const Settings& settings,
                 std::span<const Element> routes,
                 const front::RouteRules& rest,
                 const HeaderLayers& layers,
                 std::uint32_t site,
                 std::vector<front::Route>& to) {
  for (const Element& route : routes) {
    front::Route& made = to.emplace_back(MakeRoute(route, rest, layers));
    made.site = site;
    PlaceApp(settings, route, made);
    made.rules.number = static_cast<std::uint32_t>(to.size() - 1);
  }
}

// Those that no route has are last: how many there are is known at the end.
void Number(front::Settings& made) {
  const auto rest = static_cast<std::uint32_t>(made.routes.size());
  made.rest.number = rest;
  for (front::Site& site : made.sites)
    site.rest.number = rest;
  std::uint32_t files = 0;
  for (auto* routes : {&made.mounts, &made.routes}) {
    for (front::Route& route : *routes) {
      if (routes == &made.mounts) route.rules.number = rest;
      if (route.rules.files) route.rules.files->number = files++;
    }
  }
  for (front::ProtectedFolder& folder : made.protected_folders)
    folder.files.number = files++;
}

// One table of routes, with its place for messages.
struct Table {
  std::span<const Element> routes;
  std::string_view place;  // kRouteTable or kSiteRouteTable
};

void CheckFiles(const Element& files, const std::string& place, Mistakes& mistakes) {
  const auto mistake = [&](const std::string& source, const std::string& what) {
    mistakes.push_back(fmt::format("{}: {}{}", source, place, what));
  };
  std::error_code ignored;
  if (!std::filesystem::is_directory(files.text, ignored)) {
    mistake(files.source, fmt::format(": there is no folder {}", files.text));
  }
  for (const Element& index : ElementsOf(files.more, "index")) {
    if (front::IsServableName(index.text)) continue;
    mistake(index.source,
            fmt::format(" index: expected the name of a file, got {}", Quoted(index.text)));
  }
  const auto tried = ElementsOf(files.more, "try_files");
  for (const Element& one : tried) {
    if (&one == &tried.back() && one.text == kElseApp) continue;
    const bool named = one.text.starts_with('/') || one.text.starts_with(kTriedPath);
    const std::size_t path = one.text.find('$');
    const bool right =
        named && (path == one.text.npos || (one.text.compare(path, 5, kTriedPath) == 0 &&
                                            one.text.find('$', path + 1) == one.text.npos));
    if (right) continue;
    mistake(
        one.source,
        fmt::format(" try_files: expected \"$path\", with text before or behind it, a path like "
                    "\"/index.html\", or \"@app\" as the last, got {}",
                    Quoted(one.text)));
  }
}

void CheckRedirect(const Element& route,
                   const Element& redirect,
                   const std::string& place,
                   Mistakes& mistakes) {
  const auto to = front::LocationTemplate::Parse(redirect.text);
  const std::string wrong =
      !to.ok() ? to.error().message
      : to.value().has_rest() && route.text.find('*') == route.text.npos
          ? "$rest is what the * of the path stands for, and this path has none"
          : "";
  if (!wrong.empty()) {
    mistakes.push_back(fmt::format(
        "{}: {} redirect: {}, got {}", redirect.source, place, wrong, Quoted(redirect.text)));
  }
  const std::string status = TextOf(redirect.more, "status");
  if (status == "304" || status == "305" || status == "306") {
    mistakes.push_back(
        fmt::format("{}: {} redirect status: expected 301, 302, 303, 307 or 308, got {}",
                    SourceOf(redirect.more, "status"),
                    place,
                    status));
  }
}

void CheckRoute(const Element& route, const std::string& place, Mistakes& mistakes) {
  for (const Element& files : ElementsOf(route.more, "static"))
    CheckFiles(files, place + " static", mistakes);
  for (const Element& redirect : ElementsOf(route.more, "redirect"))
    CheckRedirect(route, redirect, place, mistakes);
  CheckRequestHeaders(ElementsOf(route.more, "request_headers"), place, mistakes);
  for (const Element& hint : ElementsOf(route.more, "early_hints")) {
    if (hint.text.starts_with('<') && hint.text.find('>') != hint.text.npos) continue;
    mistakes.push_back(fmt::format(
        "{}: {} early_hints: expected a link like \"</app.css>; rel=preload; as=style\", got {}",
        hint.source,
        place,
        Quoted(hint.text)));
  }
  const Element* first = nullptr;
  std::string_view first_key;
  for (const std::string_view key : kAnswerers) {
    const auto said = ElementsOf(route.more, key);
    if (said.empty()) continue;
    if (first != nullptr) {
      mistakes.push_back(fmt::format("{}: {}: it has {} and {}, and one can answer",
                                     said.front().source,
                                     place,
                                     first_key,
                                     key));
    }
    first = &said.front();
    first_key = key;
  }
}

void CheckTable(const Table& table, const HeaderLayers& layers, Mistakes& mistakes) {
  std::vector<front::Route> routes;
  for (const Element& later : table.routes) {
    const std::string place = fmt::format("{} {}", table.place, Quoted(later.text));
    const std::size_t before = mistakes.size();
    CheckRoute(later, place, mistakes);
    if (mistakes.size() > before) return;  // what cannot be made
    routes.push_back(MakeRoute(later, {}, layers));
    CheckHeaders(routes.back().rules, later.source, place, mistakes);
    for (std::size_t i = 0; i + 1 < routes.size(); ++i) {
      if (!front::Covers(routes[i], routes.back())) continue;
      mistakes.push_back(fmt::format("{}: {} path: {} never matches: {} ({}) stands before it",
                                     later.source,
                                     table.place,
                                     Quoted(later.text),
                                     Quoted(table.routes[i].text),
                                     table.routes[i].source));
      break;
    }
  }
}

// Parts of a key, tags and names of cookies that are none.
void CheckCaches(const std::vector<PlacedRoute>& routes, Mistakes& mistakes) {
  const auto is_name = [](std::string_view text) { return http::IsToken(text); };
  for (const PlacedRoute& placed : routes) {
    const auto mistake = [&](const Element& at, std::string_view key, std::string_view expected) {
      mistakes.push_back(fmt::format("{}: {} cache.{}: expected {}, got \"{}\"",
                                     at.source,
                                     placed.table,
                                     key,
                                     expected,
                                     at.text));
    };
    for (const Element& cache : ElementsOf(placed.route->more, "cache")) {
      for (const Element& part : ElementsOf(cache.more, "key")) {
        const std::string_view text = part.text;
        const auto name = KeyPart(text, kCookiePart);
        const auto field = KeyPart(text, kHeaderPart);
        const bool word = text == "path" || text == "query" || text == "host";
        if (word || (name && is_name(*name)) || (field && is_name(*field))) continue;
        mistake(part, "key", "path, query, host, cookie:NAME or header:NAME");
      }
      for (const Element& name : ElementsOf(cache.more, "ignore_cookies")) {
        if (!is_name(name.text)) mistake(name, "ignore_cookies", "the name of a cookie");
        // Everything that a client says by cookies would be thrown away, sessions too.
        if (name.text == "*") mistake(name, "ignore_cookies", "names, and not all of them");
      }
      for (const Element& tag : ElementsOf(cache.more, "tags")) {
        const bool fits = !tag.text.empty() && tag.text.size() <= webcache::kTagBytesMax &&
                          http::AllAre(http::kVisibleCharacter, tag.text) &&
                          tag.text.find(',') == std::string::npos;
        if (!fits) mistake(tag, "tags", "visible characters without a comma, 128 at most");
      }
    }
  }
}

void CheckHosts(std::span<const Element> sites, Mistakes& mistakes) {
  front::HostTable hosts;
  for (const Element& site : sites) {
    for (const Element& host : ElementsOf(site.more, "hosts")) {
      if (hosts.Add(host.text, 0)) continue;
      mistakes.push_back(
          fmt::format("{}: [[site]] hosts: {} is there twice", host.source, Quoted(host.text)));
    }
  }
}

}  // namespace

std::vector<PlacedRoute> AllRoutes(const Settings& settings) {
  std::vector<PlacedRoute> routes;
  for (const Element& route : ElementsOf(settings, "route"))
    routes.push_back({&route, kRouteTable});
  for (const Element& site : ElementsOf(settings, "site")) {
    for (const Element& route : ElementsOf(site.more, "route"))
      routes.push_back({&route, kSiteRouteTable});
  }
  return routes;
}

void AddRoutes(const Settings& settings, front::Settings& made) {
  const HeaderLayers layers = LayersOf(settings);
  made.rest.queue_max = made.queue_max;
  made.rest.queue_timeout = made.queue_timeout;
  made.rest.timeout = made.request_timeout;
  made.rest.body_bytes_max = made.body_bytes_max;
  made.rest.cancel_disconnected = TextOf(settings, "app.cancel_disconnected") == "true";
  layers.Make(made.rest);
  AddMounts(ElementsOf(settings, "static"), made.rest, front::kEverySite, made.mounts);
  made.apps = AppNames(settings);
  AddRoutesOf(
      settings, ElementsOf(settings, "route"), made.rest, layers, front::kEverySite, made.routes);
  std::uint32_t number = 0;
  for (const Element& site : ElementsOf(settings, "site")) {
    const HeaderLayers its = layers.With(site.more);
    const front::RouteRules rest = RulesWith(made.rest, its);
    AddMounts(ElementsOf(site.more, "static"), rest, number, made.mounts);
    AddRoutesOf(settings, ElementsOf(site.more, "route"), rest, its, number, made.routes);
    made.sites.push_back({.hosts = Texts(ElementsOf(site.more, "hosts")), .rest = rest});
    ++number;
  }
  if (const auto refused = ParseDecimal(TextOf(settings, "front.unknown_hosts"), 999)) {
    made.unknown_hosts = made.rest;
    made.unknown_hosts->respond = front::FixedAnswer{.status = static_cast<int>(*refused)};
  }
  for (const Element& folder : ElementsOf(settings, "front.protected")) {
    made.protected_folders.push_back(
        {.prefix = folder.name, .files = {.number = 0, .folder = folder.text}});
  }
  std::stable_sort(made.protected_folders.begin(),
                   made.protected_folders.end(),
                   [](const auto& a, const auto& b) { return a.prefix.size() > b.prefix.size(); });
  Number(made);
}

void CheckRoutes(const Settings& settings, Mistakes& mistakes) {
  const HeaderLayers layers = LayersOf(settings);
  CheckRequestHeaders(ElementsOf(settings, "front.request_headers"), "[front]", mistakes);
  CheckHeaders(
      RulesWith({}, layers), SourceOf(settings, "front.headers"), "[front] headers", mistakes);
  for (const Element& mount : ElementsOf(settings, "static"))
    CheckFiles(mount, fmt::format("[static] {}", Quoted(mount.name)), mistakes);
  for (const Element& folder : ElementsOf(settings, "front.protected")) {
    const std::string place = fmt::format("[front] protected {}", Quoted(folder.name));
    if (const auto wrong = WrongPrefix(folder.name)) {
      mistakes.push_back(fmt::format("{}: {}: {}", folder.source, place, *wrong));
    }
    CheckFiles(folder, place, mistakes);
  }
  CheckHosts(ElementsOf(settings, "site"), mistakes);
  std::vector<Table> tables = {{ElementsOf(settings, "route"), kRouteTable}};
  CheckTable(tables.front(), layers, mistakes);
  for (const Element& site : ElementsOf(settings, "site")) {
    const HeaderLayers its = layers.With(site.more);
    CheckRequestHeaders(ElementsOf(site.more, "request_headers"), "[[site]]", mistakes);
    CheckHeaders(RulesWith({}, its), site.source, "[[site]] headers", mistakes);
    for (const Element& mount : ElementsOf(site.more, "static"))
      CheckFiles(mount, fmt::format("[[site]] static {}", Quoted(mount.name)), mistakes);
    tables.push_back({ElementsOf(site.more, "route"), kSiteRouteTable});
    CheckTable(tables.back(), its, mistakes);
  }
  CheckCaches(AllRoutes(settings), mistakes);
  std::size_t count = 0;
  for (const Table& table : tables) {
    count += table.routes.size();
    if (count <= front::kRoutesMax) continue;
    mistakes.push_back(fmt::format("{}: {}: expected at most {} routes, got more",
                                   table.routes.back().source,
                                   table.place,
                                   front::kRoutesMax));
    return;
  }
}

std::uint32_t PerCent(std::string_view text) {
  text.remove_suffix(1);
  return static_cast<std::uint32_t>(*ParseDecimal(text, 100));
}

}  // namespace onebox::main
