#pragma once
// Which of the operator's routes a request belongs to.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "front/settings.h"
#include "http/method.h"

namespace onebox::front {

// The paths of a route:
//   "/api/login"      this path alone;
//   "/reports/*"      all below "/reports/", however deep;
//   "/api/*/export"   a * that is not the last stands for one segment;
//   "/a/**/b"         a ** stands for any number of segments, none too.
// A * stands for whole segments. What is matched is the normal form of a path (http/path.h).
class PathPattern {
 public:
  static std::optional<PathPattern> Parse(std::string_view text);

  bool Matches(std::string_view path) const;
  // Whether it matches each path that `other` does. A "no" may be wrong where both hold a **.
  bool Covers(const PathPattern& other) const;

 private:
  enum class Kind : std::uint8_t { kExact, kPrefix, kSegments };
  PathPattern(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_;
  std::string text_;  // of a prefix what comes before its *; of others as written
};

// A request's method by its bit in Route::methods; one that has no name of its own has none.
std::uint32_t MethodBit(http::Method method);

// Whether `earlier`, standing before `later` in the file, leaves nothing to it.
bool Covers(const Route& earlier, const Route& later);

// The longest time that any request may take in the app.
Duration LongestTimeout(const Settings& settings);

// Built once and shared by all reactors. The settings outlive it.
class Router {
 public:
  explicit Router(const Settings& settings);

  // The rules of the first route that matches; those of the rest where none does. Allocates nothing.
  const RouteRules& Match(http::Method method, std::string_view path) const;
  Duration timeout_max() const { return timeout_max_; }

 private:
  struct Row {
    PathPattern pattern;
    std::uint32_t methods = 0;
    const RouteRules* rules = nullptr;
  };
  std::vector<Row> rows_;
  const RouteRules& rest_;
  const Duration timeout_max_;
};

}  // namespace onebox::front
