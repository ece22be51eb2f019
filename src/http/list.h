#pragma once
// Comma-separated lists in field values (RFC 9110 5.6.1), without quoted strings.

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/ascii.h"
#include "http/field_table.h"

namespace onebox::http {

// Takes the next element off the list, without the white space around it; empty ones are skipped.
// Nothing at the end.
constexpr std::optional<std::string_view> TakeElement(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = Trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

// The same from the right.
constexpr std::optional<std::string_view> TakeLastElement(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t comma = list.rfind(',');
    const std::size_t begin = comma == list.npos ? 0 : comma + 1;
    const std::string_view element = Trimmed(list.substr(begin));
    list.remove_suffix(list.size() - (begin == 0 ? 0 : comma));
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

// Calls visit(element) for each element of all fields of that name.
template <typename Visit>
void ForEachElement(const FieldTable& head, KnownField name, Visit visit) {
  if (!head.Has(name)) return;
  for (const Field& field : head.fields()) {
    if (field.known != name) continue;
    std::string_view list = field.value;
    while (const auto element = TakeElement(list))
      visit(*element);
  }
}

}  // namespace onebox::http
