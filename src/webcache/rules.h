#pragma once
// What the operator says of the answers of a route.

#include <string>
#include <string_view>
#include <vector>

#include "http/reuse.h"

namespace onebox::webcache {

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

// Whether one of the patterns is the name, or its beginning before a "*".
bool MatchesAny(const std::vector<std::string>& patterns, std::string_view name);

}  // namespace onebox::webcache
