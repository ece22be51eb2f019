#pragma once
// Entity tags and how they are compared (RFC 9110 8.8.3).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace onebox::http {

struct EntityTag {
  std::string_view opaque;  // without the quotes
  bool weak = false;
};

// `"abc"` or `W/"abc"`, and nothing around it.
std::optional<EntityTag> ParseEntityTag(std::string_view text);

void AppendEntityTag(std::string& out, const EntityTag& tag);

enum class Comparison : std::uint8_t { kStrong, kWeak };

constexpr bool Matches(const EntityTag& a, const EntityTag& b, Comparison comparison) {
  if (comparison == Comparison::kStrong && (a.weak || b.weak)) return false;
  return a.opaque == b.opaque;
}

// Takes the next tag off a list `"a", W/"b"`; nothing at its end. Where the rest is not a list of
// tags, `list` is left not empty.
std::optional<EntityTag> TakeEntityTag(std::string_view& list);

}  // namespace onebox::http
