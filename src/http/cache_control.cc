#include "http/cache_control.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace onebox::http {
namespace {

struct Flag {
  std::string_view name;
  bool CacheControl::*member;
};
constexpr std::array kFlags = {
    Flag{"no-store", &CacheControl::no_store},
    Flag{"no-cache", &CacheControl::no_cache},
    Flag{"private", &CacheControl::is_private},
    Flag{"public", &CacheControl::is_public},
    Flag{"must-revalidate", &CacheControl::must_revalidate},
    Flag{"proxy-revalidate", &CacheControl::proxy_revalidate},
    Flag{"no-transform", &CacheControl::no_transform},
    Flag{"only-if-cached", &CacheControl::only_if_cached},
};

struct Number {
  std::string_view name;
  std::optional<CacheSeconds> CacheControl::*member;
};
constexpr std::array kNumbers = {
    Number{"max-age", &CacheControl::max_age},
    Number{"s-maxage", &CacheControl::s_maxage},
    Number{"max-stale", &CacheControl::max_stale},
    Number{"min-fresh", &CacheControl::min_fresh},
    Number{"stale-while-revalidate", &CacheControl::stale_while_revalidate},
    Number{"stale-if-error", &CacheControl::stale_if_error},
};

// The position of the next comma that is not in quotes, or the end.
std::size_t EndOfElement(std::string_view list) {
  bool quoted = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '"') quoted = !quoted;
    if (quoted && list[i] == '\\') ++i;
    if (!quoted && i < list.size() && list[i] == ',') return i;
  }
  return list.size();
}

std::string_view Unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  return text.substr(1, text.size() - 2);
}

void TakeNumber(CacheControl& control, const Number& number, std::string_view argument) {
  std::optional<CacheSeconds>& member = control.*number.member;
  const bool longest = number.member == &CacheControl::min_fresh;
  const CacheSeconds seconds =
      ParseDeltaSeconds(Unquoted(argument)).value_or(longest ? kCacheSecondsMax : CacheSeconds(0));
  if (!member) {
    member = seconds;
  } else {
    member = longest ? std::max(*member, seconds) : std::min(*member, seconds);
  }
}

void TakeDirective(CacheControl& control, std::string_view element) {
  const std::size_t equals = std::min(element.find('='), element.size());
  const std::string_view name = Trimmed(element.substr(0, equals));
  const bool has_argument = equals < element.size();
  for (const Flag& flag : kFlags) {
    if (EqualsIgnoreCase(name, flag.name)) control.*flag.member = true;
  }
  for (const Number& number : kNumbers) {
    if (!EqualsIgnoreCase(name, number.name)) continue;
    if (!has_argument && number.member == &CacheControl::max_stale) {
      control.any_stale = true;
    } else {
      TakeNumber(
          control, number, has_argument ? Trimmed(element.substr(equals + 1)) : std::string_view());
    }
  }
}

}  // namespace

std::optional<CacheSeconds> ParseDeltaSeconds(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), IsDigit)) return std::nullopt;
  const auto value = ParseDecimal(text, static_cast<std::uint64_t>(kCacheSecondsMax.count()));
  return value ? CacheSeconds(static_cast<std::int64_t>(*value)) : kCacheSecondsMax;
}

void CacheControl::Add(std::string_view value) {
  while (!value.empty()) {
    const std::size_t end = EndOfElement(value);
    TakeDirective(*this, Trimmed(value.substr(0, end)));
    value.remove_prefix(std::min(end + 1, value.size()));
  }
}

}  // namespace onebox::http
