#pragma once
// Where a redirect leads: text with parts of the request in it.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace onebox::front {

// What of a request may stand in it.
struct LocationParts {
  std::string_view host;   // as the request names it, with its port; valid or empty
  std::string_view path;   // normal (http/path.h)
  std::string_view rest;   // of the path: what the last * of the route's path stands for
  std::string_view query;  // raw, without its "?"
};

// $host, without its port; $path; $rest; $query with its "?", or nothing where there is none; "$$" is "$".
// A request can put nothing into it that ends a line, leads to another host than the template says, or
// has more parts than it says: everything is percent-encoded that is not of a path or a query
// (RFC 3986 3.3, 3.4).
class LocationTemplate {
 public:
  // "https://game.example$path$query", "/new/$rest". It begins with "http://", "https://" or "/", or is
  // "$path" and what follows. Of a host $host alone may be a part. The Error says what is wrong.
  static Result<LocationTemplate> Parse(std::string_view text);

  std::string For(const LocationParts& parts) const;
  // Which paths that end with a * alone have.
  bool has_rest() const { return Has(Part::kRest); }
  // Which a request of HTTP/1.0 may not name.
  bool has_host() const { return Has(Part::kHost); }

 private:
  enum class Part : std::uint8_t { kHost, kPath, kRest, kQuery };
  using Piece = std::variant<std::string, Part>;

  bool Has(Part part) const;
  explicit LocationTemplate(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  std::vector<Piece> pieces_;
};

}  // namespace onebox::front
