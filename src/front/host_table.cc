#include "front/host_table.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "http/request_head.h"

namespace onebox::front {
namespace {

constexpr std::string_view kBelow = "*.";

std::string_view WithoutLastPoint(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace

std::string_view WithoutPort(std::string_view host) {
  const std::size_t begin = host.starts_with('[') ? host.find(']') : 0;
  return begin == host.npos ? host : host.substr(0, host.find(':', begin));
}

std::optional<std::string> HostTable::Normal(std::string_view pattern) {
  if (pattern == "*") return std::string(pattern);
  const bool below = pattern.starts_with(kBelow);
  const std::string_view host = WithoutLastPoint(below ? pattern.substr(kBelow.size()) : pattern);
  const bool one_name = host.find('*') == host.npos && !host.starts_with('.') &&
                        pattern.find("..") == pattern.npos &&
                        WithoutPort(host).size() == host.size();
  if (!one_name || host.size() > kHostBytesMax || !http::IsValidHost(host)) return std::nullopt;
  return (below ? std::string(kBelow) : std::string()) + Lowered(host);
}

bool HostTable::Add(std::string_view pattern, std::uint32_t site) {
  if (pattern == "*") {
    if (any_) return false;
    any_ = site;
    return true;
  }
  const bool below = pattern.starts_with(kBelow);
  if (below) pattern.remove_prefix(kBelow.size());
  return (below ? below_ : names_).emplace(pattern, site).second;
}

std::optional<std::uint32_t> HostTable::Find(std::string_view host) const {
  host = WithoutLastPoint(WithoutPort(host));
  if (host.empty() || host.size() > kHostBytesMax) return any_;
  std::array<char, kHostBytesMax> small{};
  std::transform(host.begin(), host.end(), small.begin(), ToLower);
  std::string_view rest(small.data(), host.size());
  if (const auto found = names_.find(rest); found != names_.end()) return found->second;
  if (below_.empty()) return any_;
  for (std::size_t point = rest.find('.'); point != rest.npos; point = rest.find('.')) {
    rest.remove_prefix(point + 1);
    if (const auto found = below_.find(rest); found != below_.end()) return found->second;
  }
  return any_;
}

}  // namespace onebox::front
