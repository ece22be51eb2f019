#pragma once
// Reading the Cookie field (RFC 6265 4.2.1).

#include <optional>
#include <string_view>

#include "http/request_head.h"

namespace onebox::http {

// The value of the first cookie of that name, as it stands, in any Cookie field of the request; nothing
// where there is none. Names are case-sensitive.
std::optional<std::string_view> FindCookie(const RequestHead& head, std::string_view name);

}  // namespace onebox::http
