#include "upstream/settings.h"

#include "http/characters.h"

namespace onebox::upstream {

std::optional<HashKey> HashKey::Parse(std::string_view text) {
  constexpr std::string_view kHeader = "header:";
  constexpr std::string_view kCookie = "cookie:";
  if (text == "address") return HashKey{.kind = Kind::kAddress};
  if (text == "path") return HashKey{.kind = Kind::kPath};
  const bool header = text.starts_with(kHeader);
  if (!header && !text.starts_with(kCookie)) return std::nullopt;
  text.remove_prefix(header ? kHeader.size() : kCookie.size());
  if (!http::IsToken(text)) return std::nullopt;
  return HashKey{.kind = header ? Kind::kHeader : Kind::kCookie, .name = std::string(text)};
}

}  // namespace onebox::upstream
