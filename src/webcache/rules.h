#pragma once
// What the operator says of the answers of a route.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "http/reuse.h"

namespace onebox::webcache {

inline constexpr std::size_t kTagsMax = 16;       // of one answer
inline constexpr std::size_t kTagBytesMax = 128;  // of one tag

struct Rules {
  http::ReusePolicy policy;
  // Names that do not matter, each with a "*" at its end or none: they are taken out of the request before
  // the app sees it, so that no answer can come to depend on them.
  std::vector<std::string> ignore_cookies;
  std::vector<std::string> ignore_query;
  // What makes a difference besides scheme, host and path.
  bool key_query = true;
  std::vector<std::string> key_cookies;
  std::vector<std::string> key_headers;  // in lower case
  std::vector<std::string> tags;         // of all its answers
};

// What an app says to the cache alone (python/onebox/responses.py); no client sees it.
inline constexpr std::string_view kOptInField =
    "Onebox-Cache";  // its answers may be kept, whatever the route says
inline constexpr std::string_view kTagsField = "Onebox-Cache-Tags";  // names separated by commas
constexpr bool IsForTheCache(std::string_view field_name) {
  return EqualsIgnoreCase(field_name.substr(0, kOptInField.size()), kOptInField);
}

// Whether one of the patterns is the name, or its beginning before a "*".
bool MatchesAny(const std::vector<std::string>& patterns, std::string_view name);

}  // namespace onebox::webcache
