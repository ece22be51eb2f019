#include "main/limits_config.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/units.h"
#include "broker/settings.h"
#include "limits/gate.h"
#include "main/routes.h"
#include "os/file.h"

namespace onebox::main {
namespace {

constexpr std::string_view kLimits = "limits";
constexpr std::string_view kDenyFile = "front.deny_file";

// The text of a key, or its default.
std::string Said(const Element& limit, std::string_view key) {
  std::string text = TextOf(limit.more, key);
  if (!text.empty()) return text;
  return std::string(FindOption(fmt::format("route.limits.{}", key))->standard);
}

std::uint32_t NumberOf(const std::string& text, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(ParseDecimal(text, UINT32_MAX).value_or(otherwise));
}

std::vector<http::Network> NetworksOf(std::span<const Element> elements) {
  std::vector<http::Network> networks;
  networks.reserve(elements.size());
  for (const Element& element : elements)
    networks.push_back(*http::ParseNetwork(element.text));
  return networks;
}

// The limit, or what is wrong with it.
Result<limits::LimitRule> MakeLimit(const Element& limit) {
  limits::LimitRule rule{.name = limit.text};
  if (!limits::IsLimitName(rule.name)) {
    return OperatorError(
        "name: expected up to 64 printable ASCII characters, without quotes and backslashes");
  }
  if (const auto parts = ElementsOf(limit.more, "by"); !parts.empty()) {
    rule.by.clear();
    for (const Element& part : parts) {
      const auto parsed = limits::ParseKeyPart(part.text);
      if (!parsed) {
        return OperatorError(
            fmt::format("by: expected \"address\", \"header:NAME\", \"cookie:NAME\", \"path\", "
                        "\"host\" or \"all\", got \"{}\"",
                        part.text));
      }
      rule.by.push_back(*parsed);
    }
  }
  const std::string text = TextOf(limit.more, "rate");
  const auto rate = broker::Rate::Parse(text);
  if (!text.empty() && !rate) {
    return OperatorError(fmt::format("rate: expected a rate like \"10/s\", got \"{}\"", text));
  }
  rule.rate.at_once = NumberOf(TextOf(limit.more, "at_once"), 0);
  if (!rate && rule.rate.at_once == 0) return OperatorError("expected a rate, or at_once");
  if (rate) {
    rule.rate.interval = rate->per / rate->count;
    rule.rate.burst = NumberOf(TextOf(limit.more, "burst"), rate->count);
    if (rule.rate.interval > limits::kWindowMax / rule.rate.burst) {
      return OperatorError("burst: it takes more than a year to come again");
    }
  }
  if (Said(limit, "then") == "delay") {
    if (!rate) return OperatorError("then: what is too early for a rate alone can wait");
    rule.rate.delay_max = *ParseDuration(Said(limit, "delay_max"));
  }
  rule.rate.delayed_max = NumberOf(Said(limit, "delayed_max"), 0);
  rule.rate.keys_max = NumberOf(Said(limit, "keys_max"), 0);
  rule.v6_bits = NumberOf(Said(limit, "v6_prefix"), 0);
  rule.exempt = NetworksOf(ElementsOf(limit.more, "exempt"));
  rule.log_only = Said(limit, "log_only") == "true";
  return rule;
}

// Where it stands among the limits; added, where none has its name.
std::uint32_t PlaceOf(limits::LimitRule rule, std::vector<limits::LimitRule>& rules) {
  const auto same = std::find_if(
      rules.begin(), rules.end(), [&](const auto& other) { return other.name == rule.name; });
  const auto place = static_cast<std::uint32_t>(same - rules.begin());
  if (same == rules.end()) rules.push_back(std::move(rule));
  return place;
}

void AddTo(front::RouteRules& rules,
           std::span<const Element> elements,
           std::vector<limits::LimitRule>& all) {
  for (const Element& limit : elements)
    rules.limits.push_back(PlaceOf(MakeLimit(limit).value(), all));
}

// What `keys` say of it; else `otherwise`.
limits::Pace MakePace(const Settings& keys, std::string_view table, const limits::Pace& otherwise) {
  const auto bytes = [&](std::string_view key, std::uint64_t other) {
    return ParseBytes(TextOf(keys, fmt::format("{}{}", table, key))).value_or(other);
  };
  return {.bytes_per_second = bytes("bytes_per_second", otherwise.bytes_per_second),
          .after = bytes("bytes_per_second_after", otherwise.after)};
}

// One network a line; a "#" and what follows is a comment.
Result<std::vector<http::Network>> ReadNetworks(const std::string& path) {
  std::vector<http::Network> networks;
  const std::string text = TRY(os::ReadFile(path, kDenyFileBytesMax));
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = Trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto network = http::ParseNetwork(line);
    if (!network) {
      return OperatorError(fmt::format(
          "{}:{}: expected a network like \"10.0.0.0/8\", got \"{}\"", path, number, line));
    }
    networks.push_back(*network);
  }
  return networks;
}

Result<limits::AccessList> MakeAccess(const Settings& settings) {
  std::vector<http::Network> deny = NetworksOf(ElementsOf(settings, "front.deny"));
  if (const std::string path = TextOf(settings, kDenyFile); !path.empty()) {
    const auto more = TRY(ReadNetworks(path));
    deny.insert(deny.end(), more.begin(), more.end());
  }
  return limits::AccessList(NetworksOf(ElementsOf(settings, "front.allow")), deny);
}

}  // namespace

Mistakes CheckLimits(const Settings& settings) {
  Mistakes mistakes;
  std::vector<limits::LimitRule> rules;
  const auto check = [&](std::string_view place, std::span<const Element> elements) {
    for (const Element& limit : elements) {
      const auto wrong = [&](std::string_view what) {
        mistakes.push_back(
            fmt::format("{}: {} limits \"{}\": {}", limit.source, place, limit.text, what));
      };
      const auto rule = MakeLimit(limit);
      if (!rule.ok()) {
        wrong(rule.error().message);
        continue;
      }
      const std::uint32_t at = PlaceOf(rule.value(), rules);
      if (rules[at] != rule.value()) wrong("there is another limit of that name that differs");
    }
  };
  check("[front]", ElementsOf(settings, "front.limits"));
  for (const PlacedRoute& placed : AllRoutes(settings))
    check(placed.table, ElementsOf(placed.route->more, kLimits));
  const std::uint64_t rate_min = ParseBytes(TextOf(settings, "front.write_rate_min")).value_or(0);
  const auto check_pace = [&](std::string_view place, const Settings& keys, std::string_view name) {
    const auto elements = ElementsOf(keys, name);
    if (elements.empty() || ParseBytes(elements.front().text).value_or(0) > rate_min) return;
    mistakes.push_back(
        fmt::format("{}: {} bytes_per_second: {} must be more than front.write_rate_min ({})",
                    elements.front().source,
                    place,
                    elements.front().text,
                    FormatBytes(rate_min)));
  };
  check_pace("[front]", settings, "front.bytes_per_second");
  for (const PlacedRoute& placed : AllRoutes(settings))
    check_pace(placed.table, placed.route->more, "bytes_per_second");
  if (const auto access = MakeAccess(settings); !access.ok()) {
    mistakes.push_back(fmt::format("{}: {}: {}",
                                   SourceOf(settings, kDenyFile),
                                   Place(*FindOption(kDenyFile)),
                                   access.error().message));
  }
  return mistakes;
}

Status AddLimits(const Settings& settings, front::Settings& made) {
  made.access = TRY(MakeAccess(settings));
  AddTo(made.rest, ElementsOf(settings, "front.limits"), made.limits);
  made.rest.pace = MakePace(settings, "front.", {});
  const auto routes = AllRoutes(settings);
  CHECK(routes.size() == made.routes.size());
  for (std::size_t i = 0; i < routes.size(); ++i) {
    front::RouteRules& rules = made.routes[i].rules;
    const Settings& said = routes[i].route->more;
    rules.limits = made.rest.limits;
    rules.pace = MakePace(said, "", made.rest.pace);
    AddTo(rules, ElementsOf(said, kLimits), made.limits);
    limits::AccessList access(NetworksOf(ElementsOf(said, "allow")),
                              NetworksOf(ElementsOf(said, "deny")));
    if (!access.empty()) {
      rules.access = std::make_shared<const limits::AccessList>(std::move(access));
    }
  }
  for (front::Site& site : made.sites) {
    site.rest.limits = made.rest.limits;
    site.rest.pace = made.rest.pace;
  }
  return Done();
}

std::string PrintOfDenyFile(const Settings& settings) {
  const std::string path = TextOf(settings, kDenyFile);
  if (path.empty()) return {};
  const auto text = os::ReadFile(path, kDenyFileBytesMax);
  return text.ok() ? text.value() : text.error().message;
}

}  // namespace onebox::main
