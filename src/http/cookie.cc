#include "http/cookie.h"

#include <algorithm>

#include "base/ascii.h"

namespace onebox::http {
namespace {

std::optional<std::string_view> FindIn(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    const std::size_t end = std::min(cookies.find(';'), cookies.size());
    const std::string_view pair = Trimmed(cookies.substr(0, end));
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
    if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
      return pair.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> FindCookie(const RequestHead& head, std::string_view name) {
  if (!head.Has(KnownField::kCookie)) return std::nullopt;
  for (const Field& field : head.fields()) {
    if (field.known != KnownField::kCookie) continue;
    if (const auto value = FindIn(field.value, name)) return value;
  }
  return std::nullopt;
}

}  // namespace onebox::http
