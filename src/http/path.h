#pragma once
// The normal form of a request path, which routing, static files and the app all use.

#include <optional>
#include <string>
#include <string_view>

#include "http/refusal.h"

namespace onebox::http {

// What can be matched one way and served another is how folders are left and guards are passed. So
// there is one form, made once, and nobody looks at the raw path again:
//   1. Percent-encoding is decoded once: "%252e" is "%2e" for good. A broken one is refused, as is
//      "%00". Bytes from 0x80 stay as they are, sent raw or encoded: the app knows their charset.
//   2. Then "." and ".." segments are resolved (RFC 3986 5.2.4), sent raw or encoded. Who climbs above
//      the root is refused, not put back to the root.
//   3. Repeated slashes stay: they are part of the app's names.
// "%2F" becomes "/", as PEP 3333's PATH_INFO has it, but is reported, so that static files refuse it.
struct NormalPath {
  std::string_view path;       // begins with "/"; a view into `raw` or `storage`
  bool encoded_slash = false;  // a "/" came as "%2F"
  bool backslash = false;      // the path holds a "\"
  bool resolved = false;       // dot segments were resolved
};

// `storage` is used where the path has to change; it may be reused for the next path.
std::optional<RefusalKind> NormalizePath(std::string_view raw,
                                         std::string& storage,
                                         NormalPath& normal);

}  // namespace onebox::http
