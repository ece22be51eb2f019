#pragma once
// Names of hosts that a certificate can be obtained for.

#include <string>
#include <string_view>

#include "base/result.h"

namespace onebox::acme {

// In lower case, without a dot at the end: labels of letters, digits and hyphens, two of them or more. So it
// is the name of a file too. An Error says what is wrong: a wildcard (which needs a challenge by DNS), an
// IP address, letters beyond ASCII (which are written as xn--...).
Result<std::string> ParseName(std::string_view text);

// Whether `token` is one that RFC 8555 section 8.1 allows, base64url, of a sane length: so it is the name of
// a file too.
bool IsToken(std::string_view token);

}  // namespace onebox::acme
