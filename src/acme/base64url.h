#pragma once
// base64url without padding (RFC 4648 section 5), which all of ACME is written in.

#include <optional>
#include <string>
#include <string_view>

namespace onebox::acme {

std::string ToBase64Url(std::string_view bytes);

// Nothing where it is not that; padding at the end is overlooked.
std::optional<std::string> FromBase64Url(std::string_view text);

}  // namespace onebox::acme
