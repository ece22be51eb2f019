#pragma once
// The user that a request names by Basic authentication (RFC 7617).

#include <string>
#include <string_view>

namespace onebox::http {

// The bytes before the first colon of what an Authorization field has in base64; never the password
// behind it. Empty where the field is another scheme's, is not base64, or holds no colon. Nobody has
// checked the password: it is a name for a log, and proves nothing. It may hold any byte.
std::string BasicUser(std::string_view authorization);

}  // namespace onebox::http
