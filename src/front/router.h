#pragma once
// Which of the operator's routes a request belongs to.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "front/host_table.h"
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
  // Of a path that it matches: what its first * stands for, and all behind that; of one path alone the
  // last segment.
  std::string_view Rest(std::string_view path) const;
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

  // What a request gets.
  struct Way {
    const RouteRules* rules;     // never null
    std::string_view rest;       // of the path: PathPattern::Rest(), or all but its first "/"
    const StaticMount* files{};  // that answer; null: none
  };
  // The rules of the first route that matches; those of the rest where none does. A mount says who answers,
  // under the rules of whatever route the path has; but one of every site does not where a route of the site
  // itself says who does. `host` as the request
  // names it; it is looked at where there are sites. Allocates nothing.
  Way Match(std::string_view host, http::Method method, std::string_view path) const;
  bool has_sites() const { return !hosts_.empty(); }
  Duration timeout_max() const { return timeout_max_; }

 private:
  struct Row {
    PathPattern pattern;
    std::uint32_t methods = 0;
    const RouteRules* rules = nullptr;
    bool of_the_site = false;
    bool says_who_answers = false;
  };
  struct Rows {
    std::vector<Row> mounts;
    std::vector<Row> rows;
    const RouteRules* rest = nullptr;
  };
  static void Append(const std::vector<Route>& routes, std::uint32_t site, std::vector<Row>& to);
  static Rows RowsOf(const Settings& settings, std::uint32_t site, const RouteRules& rest);

  HostTable hosts_;
  std::vector<Rows> sites_;
  Rows others_;  // of a host that no site names
  const Duration timeout_max_;
};

}  // namespace onebox::front
