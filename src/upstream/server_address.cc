#include "upstream/server_address.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "http/request_head.h"

namespace onebox::upstream {
namespace {

constexpr std::string_view kExpected =
    "expected http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH";

std::string_view TakeWord(std::string_view& text) {
  text = Trimmed(text);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

// "host", "host:80", "[::1]:80".
bool TakeHost(std::string_view text, ServerAddress& address) {
  if (!http::IsValidHost(text)) return false;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    address.host = text.substr(1, bracket - 1);
    rest = text.substr(bracket + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    address.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  address.port = address.secure ? 443 : 80;
  if (rest.empty()) return true;
  const auto port = ParseDecimal(rest.substr(1), 65535);
  if (!port || *port == 0) return false;
  address.port = static_cast<std::uint16_t>(*port);
  return true;
}

bool TakeUrl(std::string_view url, ServerAddress& address) {
  constexpr std::string_view kUnix = "unix:";
  if (url.starts_with(kUnix)) {
    url.remove_prefix(kUnix.size());
    while (url.starts_with("//"))
      url.remove_prefix(1);
    address.path = url;
    return url.size() > 1 && url.front() == '/' && url.size() < 108;
  }
  const std::size_t colon = std::min(url.find("://"), url.size());
  address.secure = url.substr(0, colon) == "https";
  if (!address.secure && url.substr(0, colon) != "http") return false;
  if (colon == url.size()) return false;
  url.remove_prefix(colon + 3);
  if (url.ends_with('/')) url.remove_suffix(1);
  return TakeHost(url, address);
}

}  // namespace

Result<ServerAddress> ServerAddress::Parse(std::string_view text) {
  ServerAddress address;
  std::string_view rest = text;
  if (!TakeUrl(TakeWord(rest), address)) {
    return OperatorError(fmt::format("{}, got \"{}\"", kExpected, text));
  }
  while (!Trimmed(rest).empty()) {
    const std::string_view word = TakeWord(rest);
    constexpr std::string_view kWeight = "weight=";
    if (word == "backup") {
      address.backup = true;
      continue;
    }
    const auto weight = word.starts_with(kWeight)
                            ? ParseDecimal(word.substr(kWeight.size()), kWeightMax)
                            : std::optional<std::uint64_t>();
    if (!weight || *weight == 0) {
      return OperatorError(
          fmt::format("expected weight=1 to weight={} or backup after the server, got \"{}\"",
                      kWeightMax,
                      word));
    }
    address.weight = static_cast<std::uint32_t>(*weight);
  }
  return address;
}

std::string ServerAddress::text() const {
  if (is_unix()) return "unix:" + path;
  return fmt::format("{}://{}", secure ? "https" : "http", authority());
}

std::string ServerAddress::authority() const {
  if (is_unix()) return "localhost";
  const bool six = host.find(':') != host.npos;
  std::string text = six ? fmt::format("[{}]", host) : host;
  if (port != (secure ? 443 : 80)) text += fmt::format(":{}", port);
  return text;
}

}  // namespace onebox::upstream
